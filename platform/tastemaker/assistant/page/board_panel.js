// The boards panel: open a board, reorder it by drag or by button, ask about it, have it completed.

import { add, boards, create, load, move, remove, rename, takeOff } from "./boards.js";
import { askText, confirm } from "./dialogs.js";
import { startDrag, takesItems } from "./drag.js";
import { $, iconButton, make, picture } from "./elements.js";
import { count } from "./format.js";

const open = new Set(); // ids of the boards whose items are shown
let actions = {};       // what the chat does with a board: about(board), complete(board)

export function beginBoards(given) {
  actions = given;
  addEventListener("boards", show);
  $("new-board").addEventListener("submit", async (event) => {
    event.preventDefault();
    const title = $("board-title").value.trim();
    if (!title) return;
    const made = await create(title);
    if (!made) return;
    $("board-title").value = "";
    open.add(made.board_id);
    show();
  });
}

/** Draws the panel anew, and puts the focus back on the control that had it. */
function show() {
  const held = document.activeElement?.dataset?.control;
  $("board-list").replaceChildren(...boards.all.map(boardElement));
  $("no-boards").hidden = boards.all.length > 0 || !boards.loaded;
  $("no-boards").replaceChildren(...(boards.error
    ? [make("span", { class: "bad" }, boards.error), " ", make("button", { type: "button", class: "quiet", onclick: load }, "Try again")]
    : ["No boards yet. Make one here, or add an item to one from its card."]));
  if (!held) return;
  const controls = [...$("board-list").querySelectorAll("[data-control]")];
  const again = controls.find((element) => element.dataset.control === held);
  const near = again?.parentElement.querySelector("button:enabled");
  const fold = controls.find((element) => held.includes(element.dataset.control.replace("fold ", "")));
  (again?.disabled === false ? again : near ?? fold ?? $("board-title")).focus();
}

function boardElement(board) {
  const id = board.board_id;
  const isOpen = open.has(id);
  const body = `board-${boards.all.indexOf(board)}`;
  const element = make("li", { class: "board" },
    make("button", {
      type: "button",
      class: "fold",
      "data-control": `fold ${id}`,
      "aria-expanded": String(isOpen),
      "aria-controls": body,
      onclick: () => { if (!open.delete(id)) open.add(id); show(); },
    },
      make("span", { class: "mosaic", "aria-hidden": "true" }, ...board.items.slice(0, 4).map((item) => picture(item))),
      make("span", { class: "title" }, board.title, make("span", { class: "soft" }, count(board.items.length, "item")))),
    make("div", { id: body, hidden: !isOpen }, isOpen && contents(board)));
  takesItems(element, (item, from) => { if (from !== id) add(board, item); });
  return element;
}

function contents(board) {
  const { board_id: id, items } = board;
  const text = (label, onclick, extra = {}) =>
    make("button", { type: "button", class: "quiet", "data-control": `${label} ${id}`, onclick, ...extra }, label);
  const drawn = (name, label, onclick) => iconButton(name, label, onclick, { "data-control": `${name} ${id}` });
  return make("div", {},
    make("div", { class: "choices" },
      text("Ask about it", () => actions.about(board)),
      text("Complete it", () => actions.complete(board), { disabled: !items.length }),
      drawn("rename", `Rename ${board.title}`, async () => {
        const title = await askText("Rename the board", "Title", board.title, "Rename");
        if (title && title !== board.title) rename(board, title);
      }),
      drawn("remove", `Delete ${board.title}`, async () => {
        const sure = await confirm(`Delete “${board.title}”?`, `The board and its order are gone; its ${count(items.length, "item stays", "items stay")} in the catalogue.`, "Delete the board");
        if (sure) remove(board);
      })),
    items.length
      ? make("ol", { class: "pieces", "aria-label": `Items of ${board.title}` }, ...items.map((item, n) => piece(board, item, n)))
      : make("p", { class: "soft" }, "Empty. Drag an item here, or use “Add to a board” on its card."));
}

function piece(board, item, n) {
  const id = `${board.board_id} ${item.item_id}`;
  const to = (place) => {
    move(board, item, place);
    $("status").textContent = `${item.title}: place ${place + 1} of ${board.items.length}.`;
  };
  const element = make("li", {
    class: "piece",
    draggable: "true",
    ondragstart: (event) => startDrag(event, { item, board: board.board_id }),
  },
    picture(item),
    make("span", { class: "title" }, item.title),
    iconButton("up", `Move up: ${item.title}`, () => to(n - 1), { disabled: n === 0, "data-control": `up ${id}` }),
    iconButton("down", `Move down: ${item.title}`, () => to(n + 1), { disabled: n === board.items.length - 1, "data-control": `down ${id}` }),
    iconButton("close", `Take off the board: ${item.title}`, () => takeOff(board, item), { "data-control": `off ${id}` }));
  takesItems(element, (other, from, after) => {
    const place = n + (after ? 1 : 0);
    if (from !== board.board_id) return add(board, other, place);
    const was = board.items.findIndex((one) => one.item_id === other.item_id);
    return move(board, other, was < place ? place - 1 : place);
  }, { row: true });
  return element;
}

/** Opens a board in the panel, so that what was just changed is seen. */
export function reveal(boardId) {
  open.add(boardId);
  show();
}
