// The conversation's lines: a question, then its answer as it comes in.

import { Refused } from "./api.js";
import { grid, skeletons } from "./cards.js";
import { $, make, scrollTo } from "./elements.js";
import { count } from "./format.js";
import { nameOf, summary } from "./plan.js";

/** The user's line. */
function asked({ text, image }) {
  return make("li", { class: "mine" },
    image && make("img", { src: image.url, alt: image.alt }),
    make("p", {}, text));
}

function answered(text, turn, { ask, showPlan }) {
  return [
    make("p", { class: "said" }, text),
    ...(turn.notices ?? []).map((notice) => make("p", { class: "notice" }, notice)),
    turn.items.length > 0 && grid(turn.items, ask),
    turn.steps && make("button", { type: "button", class: "how", title: "How this was found", onclick: showPlan }, summary(turn)),
  ].filter(Boolean);
}

/** A question and its answer from an earlier visit. */
export function earlierTurn(turn, actions) {
  const text = turn.answer || "There was no answer.";
  $("log").append(asked({ text: turn.question }), make("li", { class: "theirs" }, ...answered(text, turn, actions)));
}

/** Begins a line for an answer: it shows steps, then words, then the whole of it. */
export function beginLine(question, actions) {
  const mine = asked(question);
  const doing = make("span", {});
  const said = make("p", { class: "said" });
  const line = make("li", { class: "theirs", "aria-busy": "true" });
  const waiting = make("p", { class: "waiting" }, make("span", { class: "dots", "aria-hidden": "true" }, make("i"), make("i"), make("i")), doing);
  $("log").append(mine, line);
  scrollTo(mine);

  const put = (...children) => {
    line.replaceChildren(...children);
    line.removeAttribute("aria-busy");
  };
  const end = (text, attributes, again) => put(
    make("p", { class: "said", ...attributes }, text),
    make("div", { class: "choices" }, again));

  return {
    wait(text) {
      doing.textContent = text;
      said.textContent = "";
      line.replaceChildren(waiting);
    },
    step(step) {
      doing.textContent = `${nameOf(step)}…`;
      if (step.num_items) line.replaceChildren(waiting, skeletons(step.num_items));
    },
    say(delta) {
      if (!said.isConnected) line.prepend(said);
      waiting.remove();
      said.textContent += delta;
    },
    finish(text, turn) {
      put(...answered(text, turn, actions));
      const items = turn.items.length ? `${count(turn.items.length, "item")}.` : "";
      $("status").textContent = [text, ...turn.notices, items].filter(Boolean).join(" ");
    },
    stopped(again) {
      end("Stopped.", { class: "said soft" }, button("Ask again", again));
      $("status").textContent = "Stopped.";
    },
    failed(error, again) {
      end(reason(error), { class: "said bad", role: "alert" }, retry(error, again));
      $("status").textContent = "";
    },
    remove() {
      mine.remove();
      line.remove();
    },
  };
}

const button = (text, onclick) => make("button", { type: "button", class: "quiet", onclick }, text);

function reason(error) {
  if (!(error instanceof Refused)) return error.message;
  if (error.status === 429) {
    const wait = error.retryAfterS == null ? "in a while" : `in ${count(error.retryAfterS, "second")}`;
    return `That was a lot at once. Try again ${wait}. (${error.message})`;
  }
  if (error.status === 401) return "A key is needed to ask. (401)";
  if (error.status === 403) return `Your key does not allow this: ${error.message}`;
  return error.message;
}

/** The button that asks again; after a 429 it counts down first. */
function retry(error, again) {
  const element = button("Try again", again);
  let left = error.retryAfterS ?? 0;
  const tick = () => {
    element.disabled = left > 0;
    element.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0 && left < 3600) setTimeout(tick, 1000);
    left -= 1;
  };
  tick();
  return element;
}
