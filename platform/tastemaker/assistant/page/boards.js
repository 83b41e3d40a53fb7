// The user's boards: held here as the gateway last said, written there one change after another.

import { json, request } from "./api.js";
import { choose, toast } from "./dialogs.js";
import { count } from "./format.js";
import { state } from "./state.js";

export const boards = { all: [], error: "", loaded: false };

const told = () => dispatchEvent(new Event("boards"));
const path = (id = "") => `/api/boards${id && `/${encodeURIComponent(id)}`}?user=${encodeURIComponent(state.user)}`;
const called = (board) => `“${board.title}”`;

let writing = Promise.resolve(); // writes keep their order

/** One change: shown at once, then written; what the gateway refuses is undone by reading again. */
function write(change) {
  told();
  writing = writing.then(change).catch((error) => {
    toast(error.message, { bad: true });
    return load();
  });
  return writing;
}

export async function load() {
  const user = state.user;
  try {
    const found = await json(path());
    if (user !== state.user) return;
    Object.assign(boards, { all: found.boards, error: "", loaded: true });
  } catch (error) {
    Object.assign(boards, { all: [], error: error.message, loaded: true });
  }
  told();
}

export async function create(title, items = []) {
  const body = { user: state.user, title, items: items.map((item) => item.item_id) };
  try {
    const made = await json("/api/boards", { method: "POST", body });
    boards.all = [made, ...boards.all];
    told();
    toast(items.length ? `Added to ${called(made)}, a new board.` : `Made ${called(made)}.`);
    return made;
  } catch (error) {
    toast(error.message, { bad: true });
    return null;
  }
}

export function rename(board, title) {
  board.title = title;
  return write(async () => {
    const kept = await json(path(board.board_id), { method: "PUT", body: { title } });
    board.title = kept.title;
    told();
  });
}

export function remove(board) {
  boards.all = boards.all.filter((other) => other !== board);
  if (state.board?.board_id === board.board_id) state.board = null;
  return write(async () => {
    await request(path(board.board_id), { method: "DELETE" });
    toast(`Deleted ${called(board)}.`);
  });
}

/** Replaces a board's whole order. */
function arrange(board, items) {
  board.items = items;
  return write(() => json(path(board.board_id), { method: "PUT", body: { items: items.map((item) => item.item_id) } }));
}

export function add(board, item, place = board.items.length) {
  if (board.items.some((other) => other.item_id === item.item_id)) {
    toast(`${called(board)} has it already.`);
    return null;
  }
  toast(`Added to ${called(board)}.`);
  return arrange(board, board.items.toSpliced(place, 0, item));
}

/** Moves an item to a place, counted from 0 in the order without it. */
export function move(board, item, place) {
  const others = board.items.filter((other) => other.item_id !== item.item_id);
  return arrange(board, others.toSpliced(place, 0, item));
}

export const takeOff = (board, item) =>
  arrange(board, board.items.filter((other) => other.item_id !== item.item_id));

/** Asks for the board, or for the title of a new one, and adds the item. */
export async function addToBoard(item) {
  if (!boards.loaded) await load();
  const options = boards.all.map((board) => ({ id: board.board_id, text: board.title, under: count(board.items.length, "item") }));
  const chosen = await choose(`Add “${item.title}” to a board`, options, options.length ? "Or a new board" : "Your first board");
  if (!chosen) return;
  const board = boards.all.find((one) => one.board_id === chosen.id);
  if (board) add(board, item);
  else await create(chosen.title, [item]);
}
