// The chat page. Everything that comes from the server is set as text or as an attribute, never as markup.

const $ = (id) => document.getElementById(id);
const MAX_PICTURE_PX = 512;

let messages = [];      // what the API is sent: the history as an OpenAI client keeps it
let conversation = null;
let picture = null;     // data URL of the user's own
let running = null;     // AbortController of the turn under way

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

function price(item) {
  return item.price == null ? "" : new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(item.price);
}

function card(item, place) {
  const about = [item.title, price(item), "more like this"].filter(Boolean).join(", ");
  return make("li", {},
    make("button", { type: "button", class: "item", "aria-label": `${place}: ${about}`, title: "More like this", onclick: () => similar(item) },
      make("span", { class: "picture" },
        make("img", { src: item.image_url, alt: item.title, loading: "lazy", width: 160, height: 160 }),
        make("span", { class: "more", "aria-hidden": "true" }, "More like this")),
      make("span", { class: "place", "aria-hidden": "true" }, String(place)),
      make("span", { class: "about" },
        make("span", { class: "title" }, item.title),
        make("span", { class: "under" },
          make("span", {}, item.category),
          make("span", { class: "price" }, price(item))))));
}

function stepLine(step) {
  const given = Object.keys(step.arguments).length ? JSON.stringify(step.arguments) : "";
  const found = step.num_items ? `${step.num_items} items${step.list ? ` as ${step.list}` : ""}` : "";
  return make("li", {},
    make("code", { class: "tool" }, step.tool),
    given && make("code", {}, given),
    make("span", {}, [`${Math.round(step.ms + step.router_ms)} ms`, found].filter(Boolean).join(" · ")),
    step.error && make("span", { class: "bad" }, step.error));
}

function showMine(text, image) {
  const line = make("li", { class: "mine" },
    image && make("img", { src: image.url, alt: image.alt }),
    make("p", {}, text));
  $("log").append(line);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  line.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
}

function pending() {
  const steps = make("ol", { class: "steps" });
  const dots = make("div", { class: "waiting", "aria-hidden": "true" }, make("i"), make("i"), make("i"));
  const line = make("li", { class: "theirs" }, dots, make("div", { class: "plan" }, steps));
  $("log").append(line);
  return { line, steps };
}

function showAnswer(line, text, turn) {
  const total = turn.tokens.prompt + turn.tokens.completion;
  const many = turn.steps.length === 1 ? "1 step" : `${turn.steps.length} steps`;
  line.replaceChildren(
    make("p", { class: "said" }, text),
    ...turn.notices.map((notice) => make("p", { class: "notice" }, notice)));
  if (turn.items.length) {
    line.append(make("ol", { class: "items", "aria-label": "Items" }, ...turn.items.map((item, n) => card(item, n + 1))));
  }
  line.append(make("details", { class: "plan" },
    make("summary", {}, `${many} · ${Math.round(turn.ms)} ms · ${total} tokens`),
    make("ol", { class: "steps" }, ...turn.steps.map(stepLine))));
  const items = turn.items.length === 1 ? "1 item." : `${turn.items.length} items.`;
  $("status").textContent = [text, ...turn.notices, turn.items.length ? items : ""].join(" ");
}

function showError(line, reason, again) {
  line.replaceChildren(
    make("p", { class: "said bad", role: "alert" }, reason),
    make("button", { type: "button", class: "quiet", onclick: again }, "Try again"));
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (held + value).split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const data = part.slice("data: ".length);
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function turn(content, text, extra, image) {
  if (running) return;
  running = new AbortController();
  const mine = running;
  $("welcome").hidden = true;
  $("send").disabled = true;
  $("status").textContent = "Looking…";
  showMine(text, image);
  const { line, steps } = pending();
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      signal: mine.signal,
      body: JSON.stringify({
        model: "tastemaker",
        stream: true,
        user: $("user").value || undefined,
        messages: [...messages, { role: "user", content }],
        tastemaker: { conversation, ...extra },
      }),
    });
    if (!response.ok) throw new Error((await response.json()).error.message);
    let said = "";
    let ours = null;
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      said += event.choices[0].delta.content ?? "";
      if (event.tastemaker?.step) steps.append(stepLine(event.tastemaker.step));
      else if (event.tastemaker) ours = event.tastemaker;
    }
    if (!ours) throw new Error("The answer broke off.");
    conversation = ours.conversation;
    messages.push({ role: "user", content: text }, { role: "assistant", content: said });
    showAnswer(line, said, ours);
  } catch (error) {
    if (mine.signal.aborted) return;
    const unreachable = error instanceof TypeError ? "The assistant cannot be reached." : error.message;
    showError(line, unreachable, () => {
      line.previousElementSibling?.remove();
      line.remove();
      turn(content, text, extra, image);
    });
    $("status").textContent = "";
  } finally {
    if (running === mine) {
      running = null;
      $("send").disabled = false;
    }
  }
}

function ask(text) {
  const own = picture;
  attach(null);
  if (!own) return turn(text, text, {}, null);
  const words = text || "Find items like this picture";
  const content = [{ type: "text", text: words }, { type: "image_url", image_url: { url: own } }];
  return turn(content, words, {}, { url: own, alt: "Your picture" });
}

function similar(item) {
  turn("more like this", "more like this", { similar_to: item.item_id }, { url: item.image_url, alt: item.title });
}

function attach(url) {
  picture = url;
  $("attached").hidden = !url;
  if (url) $("preview").src = url;
  else $("preview").removeAttribute("src");
}

async function readPicture(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, MAX_PICTURE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = make("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    attach(canvas.toDataURL("image/jpeg", 0.9));
    $("question").focus();
  } catch {
    $("status").textContent = "That file is not a picture that this browser can read.";
  }
}

function startAgain() {
  running?.abort();
  running = null;
  messages = [];
  conversation = null;
  attach(null);
  $("log").replaceChildren();
  $("welcome").hidden = false;
  $("send").disabled = false;
  $("status").textContent = "New chat.";
  $("question").focus();
}

async function begin() {
  const [{ suggestions }, { users }] = await Promise.all(
    ["/api/suggestions", "/api/users"].map(async (path) => (await fetch(path)).json()));
  $("suggestions").append(...suggestions.map((text) =>
    make("li", {}, make("button", { type: "button", onclick: () => ask(text) }, text))));
  $("user").append(...users.map(({ user_id, likes }) =>
    make("option", { value: user_id }, likes.length ? `${user_id} · ${likes.join(", ")}` : user_id)));
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("question").value.trim();
  if (running || (!text && !picture)) return;
  $("question").value = "";
  ask(text);
});
$("attach").addEventListener("click", () => $("picture").click());
$("picture").addEventListener("change", () => {
  const [file] = $("picture").files;
  if (file) readPicture(file);
  $("picture").value = "";
});
$("detach").addEventListener("click", () => attach(null));
$("new").addEventListener("click", startAgain);
begin().catch(() => { $("status").textContent = "The assistant cannot be reached."; });
