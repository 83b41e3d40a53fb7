// Side panels: beside the chat where there is room, else drawers over it, which hold the focus.

import { $ } from "./elements.js";

const NAMES = ["boards", "person", "plan"];
const wide = matchMedia("(min-width: 75rem)");
const opened = { boards: () => {}, person: () => {}, plan: () => {} };

export const isOpen = (name) => !$(name).hidden;

const isDrawer = () => !wide.matches;

/** The panels that would be in the way of one that opens. */
const rivals = (name) => NAMES.filter((other) => other !== name && (isDrawer() || (name !== "boards" && other !== "boards")));

function set(name, on) {
  $(name).hidden = !on;
  $(`open-${name}`).setAttribute("aria-expanded", String(on));
  const drawer = isDrawer() && NAMES.some(isOpen);
  $("shade").hidden = !drawer;
  for (const id of ["bar", "main"]) $(id).inert = drawer;
  document.body.classList.toggle("drawer", drawer);
}

/** Opens a panel; a drawer takes the focus. */
export function openPanel(name) {
  for (const other of rivals(name)) if (isOpen(other)) set(other, false);
  set(name, true);
  opened[name]();
  if (isDrawer()) $(name).querySelector("h2").focus();
}

export function closePanel(name, { focus = true } = {}) {
  set(name, false);
  if (focus) $(`open-${name}`).focus();
}

/** Closes what lies over the chat, so that an answer can be seen. */
export function closeDrawers() {
  if (isDrawer()) for (const name of NAMES) if (isOpen(name)) closePanel(name, { focus: false });
}

/** Wires the panels; `onopen` is called by name when one opens. */
export function beginPanels(onopen) {
  Object.assign(opened, onopen);
  for (const name of NAMES) {
    $(`open-${name}`).addEventListener("click", () => (isOpen(name) ? closePanel(name) : openPanel(name)));
    $(name).querySelector(".leave").addEventListener("click", () => closePanel(name));
    $(name).addEventListener("keydown", (event) => {
      if (event.key === "Escape" && isDrawer()) closePanel(name);
    });
  }
  $("shade").addEventListener("click", () => { for (const name of NAMES) if (isOpen(name)) closePanel(name); });
  wide.addEventListener("change", () => { for (const name of NAMES) set(name, wide.matches && name === "boards"); });
  if (wide.matches) openPanel("boards");
}
