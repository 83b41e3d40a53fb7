// What the user does with items: told to the gateway, so that the next answer changes.

import { json } from "./api.js";
import { toast } from "./dialogs.js";
import { state } from "./state.js";

const KEPT = "marks"; // kept for this tab, as the conversation that they stand in

const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
export const saved = new Set(kept.saved);
export const hidden = new Set(kept.hidden);

const keep = () => sessionStorage.setItem(KEPT, JSON.stringify({ saved: [...saved], hidden: [...hidden] }));

export function clearMarks() {
  saved.clear();
  hidden.clear();
  keep();
}

/** Tells of one action: what came of it, null when it did not arrive. */
async function tell(item, action) {
  let told;
  try {
    told = await json("/api/events", {
      method: "POST",
      body: {
        user: state.user,
        ...(state.conversation ? { conversation: state.conversation } : {}),
        events: [{ item_id: item.item_id, action, surface: "assistant" }],
      },
    });
  } catch (error) {
    toast(error.message, { bad: true });
    return null;
  }
  dispatchEvent(new CustomEvent("signal", { detail: { item, action } }));
  return told;
}

/** Marks an item, tells of it, and takes the mark off again if that did not arrive. */
async function mark(item, action, marked, done, then) {
  marked.add(item.item_id);
  const told = await tell(item, action);
  if (!told) marked.delete(item.item_id);
  keep();
  if (told) toast(`${done} “${item.title}”. ${told.pushed ? then : "It is kept, and counts a little later."}`);
}

export const save = (item) => mark(item, "save", saved, "Saved", "Your next answers lean towards it.");

export const hide = (item) => mark(item, "hide", hidden, "Hidden", "You will see less like it.");

export const closeup = (item) => tell(item, "closeup");
