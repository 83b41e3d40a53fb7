// What is being dragged inside the page. The browser hides a drag's data until the drop.

import { $ } from "./elements.js";

export const dragged = { item: null, board: null };

const TYPE = "application/x-tastemaker-item";

/** Begins to drag an item; `board` names the board that it is moved within. */
export function startDrag(event, { item, board = null }) {
  Object.assign(dragged, { item, board });
  event.dataTransfer.setData(TYPE, item.item_id);
  event.dataTransfer.effectAllowed = "copyMove";
  document.body.classList.add("dragging");
  event.stopPropagation();
}

addEventListener("dragend", () => {
  Object.assign(dragged, { item: null, board: null });
  document.body.classList.remove("dragging");
});

/**
 * Makes an element take items: `take(item, board, after)`, where `after` says in which half they fell.
 * Rows are marked before or after; whole boards as a place.
 */
export function takesItems(element, take, { row = false } = {}) {
  const clear = () => element.classList.remove("target", "before", "after");
  const half = (event) => {
    const { top, height } = element.getBoundingClientRect();
    return event.clientY > top + height / 2;
  };
  element.addEventListener("dragover", (event) => {
    if (!dragged.item) return;
    event.preventDefault();
    event.stopPropagation();
    clear();
    element.classList.add(row ? (half(event) ? "after" : "before") : "target");
  });
  element.addEventListener("dragleave", clear);
  element.addEventListener("drop", (event) => {
    if (!dragged.item) return;
    event.preventDefault();
    event.stopPropagation();
    clear();
    take(dragged.item, dragged.board, half(event));
  });
}

/** Pictures dropped anywhere on the page. */
export function takesPictures(take) {
  const shade = $("drop");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    shade.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) shade.hidden = true; });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    shade.hidden = true;
    take(event.dataTransfer.files[0]);
  });
}
