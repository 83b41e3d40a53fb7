// The page: wires the form, the panels and the chat together.

import { enterKey, forgetKey, hasKey, json } from "./api.js";
import { beginAttachments, attach, detach, hasAttachment, takeAttachment } from "./attachment.js";
import { load as loadBoards } from "./boards.js";
import { beginBoards } from "./board_panel.js";
import { ask, isRunning, restore, startAgain, stop } from "./chat.js";
import { toast } from "./dialogs.js";
import { takesPictures } from "./drag.js";
import { $, make } from "./elements.js";
import { beginPanels, closeDrawers, isOpen } from "./panels.js";
import { beginProfile, showProfile, userName } from "./profile.js";
import { clearMarks } from "./signals.js";
import { becomeUser, state } from "./state.js";

function send() {
  const text = $("question").value.trim();
  if (isRunning() || (!text && !hasAttachment())) return;
  $("question").value = "";
  const extra = state.board ? { board: state.board.board_id } : {};
  const own = takeAttachment();
  if (!own) return ask({ text, extra });
  const words = text || (own.room ? "Shop this room" : "Find items like this picture");
  if (own.room) extra.shop_room = true;
  const content = [{ type: "text", text: words }, { type: "image_url", image_url: { url: own.url } }];
  return ask({ text: words, content, extra, image: { url: own.url, alt: "Your picture" } });
}

/** The next questions are about this board, until it is taken off the form; null takes it off. */
function talkAbout(board) {
  state.board = board;
  $("about").hidden = !board;
  $("about-title").textContent = board ? `About “${board.title}”` : "";
  if (!board) return;
  closeDrawers();
  $("question").focus();
}

const complete = (board) =>
  ask({ text: `What would complete “${board.title}”?`, extra: { complete_board: board.board_id } });

function fresh() {
  startAgain();
  detach();
  talkAbout(null);
}

function changeUser(user, { quiet = false } = {}) {
  becomeUser(user);
  clearMarks();
  fresh();
  $("known").replaceChildren();
  loadBoards();
  showProfile();
  if (!quiet) toast(`Asking as ${userName()}, in a new conversation.`);
}

function beginForm() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("question").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  $("stop").addEventListener("click", stop);
  $("about-nothing").addEventListener("click", () => { talkAbout(null); $("question").focus(); });
  $("new").addEventListener("click", () => {
    fresh();
    $("status").textContent = "New conversation.";
    $("question").focus();
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape" && isRunning() && !document.querySelector("dialog[open]")) stop(); });
}

/** The key button: there where the gateway asks for keys. */
function showKey() {
  $("key").hidden = state.me.auth === "open";
  $("key").onclick = async () => {
    const had = hasKey();
    if (await enterKey("")) location.reload();
    else if (had) toast("Your key stays as it was.");
  };
}

async function begin() {
  beginForm();
  beginAttachments();
  takesPictures(attach);
  beginBoards({ about: talkAbout, complete });
  beginPanels({ person: showProfile });
  addEventListener("boards", () => { $("about").hidden = !state.board; });
  addEventListener("signal", () => { if (isOpen("person")) showProfile(); });
  state.me = await json("/api/me");
  showKey();
  if (state.me.user) becomeUser(state.me.user);
  const { users } = state.me.roles.includes("operator") ? await json("/api/users") : { users: [] };
  beginProfile(users, changeUser);
  $("who").textContent = userName();
  const [{ suggestions }] = await Promise.all([json("/api/suggestions"), loadBoards(), restore()]);
  $("suggestions").append(...suggestions.map((text) =>
    make("li", {}, make("button", { type: "button", onclick: () => ask({ text }) }, text))));
  if (isOpen("person")) showProfile();
}

begin().catch((error) => {
  if (error.status === 401) forgetKey();
  toast(error.message, { bad: true });
});
