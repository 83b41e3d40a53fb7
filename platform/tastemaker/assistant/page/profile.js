// The person panel: who is asking, what the system knows of them, and how to have it deleted.

import { json, Refused } from "./api.js";
import { confirm, toast } from "./dialogs.js";
import { $, make, picture } from "./elements.js";
import { ago, counter, span, whole } from "./format.js";
import { newVisitor, state } from "./state.js";

const MAX_SHARES = 8;
let changed = () => {};

export const userName = () => (state.user === state.visitor ? "a visitor" : state.user);

/** Fills the choice of users; `onchange` is told of every other one. */
export function beginProfile(users, onchange) {
  changed = onchange;
  const fixed = state.me.user;
  const rows = fixed
    ? [[fixed, fixed]]
    : [[state.visitor, "A visitor, in this browser"], ...users.map(({ user_id, likes }) => [user_id, likes.length ? `${user_id} · ${likes.join(", ")}` : user_id])];
  if (!rows.some(([id]) => id === state.user)) rows.push([state.user, state.user]);
  $("user").replaceChildren(...rows.map(([id, text]) => make("option", { value: id, selected: id === state.user }, text)));
  $("user").disabled = Boolean(fixed);
  $("user").onchange = () => changed($("user").value);
  $("delete-data").onclick = deleteData;
}

/** Reads and shows what is known of the user now. */
export async function showProfile() {
  const user = state.user;
  $("who").textContent = userName();
  if (!$("known").children.length) $("known").replaceChildren(...[1, 2, 3].map(() => make("span", { class: "ghost" })));
  let known;
  try {
    known = await json(`/api/users/${encodeURIComponent(user)}`);
  } catch (error) {
    if (user !== state.user) return;
    const nothing = error instanceof Refused && error.status === 404;
    $("known").replaceChildren(make("p", { class: nothing ? "soft" : "bad" }, nothing ? "Nothing is known yet." : error.message));
    return;
  }
  if (user === state.user) $("known").replaceChildren(...contents(known));
}

function contents(known) {
  const fresh = [
    known.recency_s == null ? "Not active yet" : `Last active ${span(known.recency_s)} ago`,
    known.staleness_s == null ? "" : `taste profile ${span(known.staleness_s)} behind`,
  ].filter(Boolean).join(" · ");
  return [
    make("p", { class: "soft" }, fresh),
    make("dl", { class: "totals" }, ...[["Events", known.num_events], ["Boards", known.num_boards], ["Conversations", known.num_conversations]]
      .map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, whole(value))))),
    known.missing?.length > 0 && make("p", { class: "notice" }, `No value yet: ${known.missing.join(", ")}.`),
    countTable(known.counts),
    shares("Categories", known.categories),
    shares("Styles", known.styles),
    recent(known.recent),
  ].filter(Boolean);
}

function countTable(counts) {
  const rows = new Map();
  const windows = [];
  for (const [name, value] of Object.entries(counts ?? {})) {
    const { action, window } = counter(name);
    if (!windows.includes(window)) windows.push(window);
    rows.set(action, { ...rows.get(action), [window]: value });
  }
  if (!rows.size) return null;
  return make("table", {},
    make("caption", {}, "What they did"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Action"), ...windows.map((window) => make("th", { scope: "col" }, window ? `Last ${window}` : "Ever")))),
    make("tbody", {}, ...[...rows].map(([action, values]) => make("tr", {},
      make("th", { scope: "row" }, action),
      ...windows.map((window) => make("td", {}, values[window] == null ? "–" : whole(values[window])))))));
}

function shares(title, values) {
  const rows = Object.entries(values ?? {}).sort(([, one], [, other]) => other - one).slice(0, MAX_SHARES);
  if (!rows.length) return null;
  return make("section", {}, make("h3", {}, title),
    make("ul", { class: "shares", "aria-label": title }, ...rows.map(([name, value]) => {
      const fill = make("span", {});
      fill.style.width = `${100 * Math.min(1, value)}%`;
      return make("li", {}, make("span", {}, name), make("span", { class: "bar", "aria-hidden": "true" }, fill), make("span", {}, `${Math.round(100 * value)} %`));
    })));
}

const DONE = { save: "Saved", hide: "Hidden", click: "Clicked", closeup: "Looked at" };

function recent(items) {
  if (!items?.length) return null;
  return make("section", {}, make("h3", {}, "Lately"),
    make("ul", { class: "recent", "aria-label": "Lately" }, ...items.slice(0, 12).map((item) => make("li", {},
      picture(item),
      make("span", { class: "title" }, item.title),
      make("span", { class: "soft" }, `${DONE[item.action] ?? item.action} ${ago(item.time_ms)}`)))));
}

async function deleteData() {
  const sure = await confirm(
    `Delete everything about ${userName()}?`,
    "Events, signals, conversations and boards are erased. This cannot be undone.",
    "Delete the data");
  if (!sure) return;
  try {
    const { deleted } = await json(`/api/users/${encodeURIComponent(state.user)}`, { method: "DELETE" });
    const rows = Object.entries(deleted).filter(([, many]) => many).map(([name, many]) => `${whole(many)} ${name}`);
    toast(rows.length ? `Deleted: ${rows.join(", ")}.` : "There was nothing to delete.");
  } catch (error) {
    toast(error.message, { bad: true });
    return;
  }
  const visiting = state.user === state.visitor;
  if (visiting) {
    newVisitor();
    $("user").options[0].value = state.visitor;
  }
  changed(state.user, { quiet: true });
}

