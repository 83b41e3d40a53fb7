// An item as a card: look closer, save, hide, more like this, add to a board; and its closeup.

import { json } from "./api.js";
import { addToBoard } from "./boards.js";
import { $, iconButton, make, picture } from "./elements.js";
import { price } from "./format.js";
import { startDrag } from "./drag.js";
import { closeup, hidden, hide, save, saved } from "./signals.js";

/** A list of items, numbered as the conversation names them. `ask` sends a question. */
export function grid(items, ask) {
  return make("ol", { class: "items", "aria-label": "Items" }, ...items.map((item, n) => card(item, n + 1, ask)));
}

/** Places of pictures that are on their way. */
export function skeletons(many) {
  const cells = Array.from({ length: Math.min(many, 10) }, () =>
    make("li", { class: "card" }, make("span", { class: "frame loading" }), make("span", { class: "ghost" }), make("span", { class: "ghost short" })));
  return make("ol", { class: "items", "aria-hidden": "true" }, ...cells);
}

const moreLike = (item) => ({
  text: "more like this",
  extra: { similar_to: item.item_id },
  image: { url: item.image_url, alt: item.title },
});

function card(item, place, ask) {
  const about = [item.title, price(item)].filter(Boolean).join(", ");
  const element = make("li", { class: "card", draggable: "true", ondragstart: (event) => startDrag(event, { item }) },
    make("button", { type: "button", class: "look", "aria-label": `${place}: ${about}`, onclick: () => look(item, ask) },
      picture(item, { alt: item.title }),
      make("span", { class: "place", "aria-hidden": "true" }, String(place))),
    saveButton(item),
    make("div", { class: "actions" },
      iconButton("like", `More like this: ${item.title}`, () => ask(moreLike(item))),
      iconButton("board", `Add to a board: ${item.title}`, () => addToBoard(item)),
      iconButton("hide", `Hide ${item.title}`, () => put(element, item))),
    make("div", { class: "about" },
      make("span", { class: "title" }, item.title),
      make("span", { class: "under" },
        make("span", {}, item.category),
        make("span", { class: "price" }, price(item)))));
  if (hidden.has(item.item_id)) cover(element);
  return element;
}

/** A heart; an item may have several on the page, which beat as one. */
function saveButton(item) {
  const { item_id: id } = item;
  const show = () => {
    const pressed = String(saved.has(id));
    for (const one of document.querySelectorAll(`.save[data-item="${CSS.escape(id)}"]`)) one.setAttribute("aria-pressed", pressed);
  };
  return iconButton("save", `Save ${item.title}`, async () => {
    if (saved.has(id)) return;
    const kept = save(item);
    show();
    await kept;
    show();
  }, { class: "round save", "data-item": id, "aria-pressed": String(saved.has(id)) });
}

/** Hides a card in its place, because its number still stands for it. */
async function put(element, item) {
  const next = element.nextElementSibling ?? element.previousElementSibling;
  cover(element);
  (next?.querySelector("button:enabled") ?? $("question")).focus({ preventScroll: true });
  await hide(item);
  if (!hidden.has(item.item_id)) cover(element, false);
}

function cover(element, on = true) {
  element.classList.toggle("covered", on);
  element.draggable = !on;
  for (const button of element.querySelectorAll("button")) button.disabled = on;
}

async function look(item, ask) {
  const dialog = $("closeup");
  const words = make("p", {});
  const facts = make("dl", { class: "facts" });
  const first = make("button", { type: "button", class: "strong", onclick: () => { dialog.close(); ask(moreLike(item)); } }, "More like this");
  dialog.replaceChildren(
    iconButton("close", "Close", () => dialog.close(), { class: "round leave" }),
    picture(item, { alt: item.title, width: 420, height: 420, loading: "eager" }),
    make("div", { class: "told" },
      make("h2", { id: "closeup-title" }, item.title),
      make("p", { class: "under" }, make("span", {}, item.category), make("span", { class: "price" }, price(item))),
      words, facts,
      make("div", { class: "choices" },
        first,
        make("button", { type: "button", class: "quiet", onclick: () => { dialog.close(); addToBoard(item); } }, "Add to a board"),
        saveButton(item))));
  dialog.showModal();
  first.focus();
  closeup(item);
  try {
    const found = await json(`/items/${encodeURIComponent(item.item_id)}`);
    words.textContent = found.text ?? "";
    facts.append(...Object.entries(found.attributes ?? {}).map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  } catch (error) {
    words.textContent = error.message;
  }
}
