// Small modal questions. The browser's own <dialog> keeps the focus inside and gives it back.

import { $, make } from "./elements.js";

/** Opens a dialog with a form; the form's value when it is sent, null when it is left. */
function open(title, contents, submit, { danger = false, read }) {
  const opener = document.activeElement;
  return new Promise((resolve) => {
    const dialog = make("dialog", { class: "small", "aria-labelledby": "dialog-title" },
      make("form", { method: "dialog" },
        make("h2", { id: "dialog-title" }, title),
        ...contents.filter(Boolean),
        make("div", { class: "choices" },
          make("button", { type: "button", class: "quiet", onclick: () => dialog.close("") }, "Cancel"),
          make("button", { type: "submit", value: "yes", class: danger ? "strong danger" : "strong" }, submit))));
    dialog.addEventListener("close", () => {
      const value = dialog.returnValue === "yes" ? read(dialog) : null;
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(value);
    });
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("input") ?? dialog.querySelector(".choices button")).focus();
  });
}

const field = (label, attributes) =>
  make("label", { class: "field" }, make("span", {}, label), make("input", { required: true, ...attributes }));

const value = (dialog) => dialog.querySelector("input").value.trim();

/** True when the user goes on; what cannot be undone is marked. */
export const confirm = (title, text, submit) =>
  open(title, [make("p", {}, text)], submit, { danger: true, read: () => true });

/** A line of text, null when the user leaves. */
export const askText = (title, label, text, submit) =>
  open(title, [field(label, { value: text, maxlength: 80, pattern: ".*\\S.*" })], submit, { read: value });

/** An API key, null when the user leaves. */
export const askKey = (reason) =>
  open("This assistant asks for a key", [
    reason ? make("p", { class: "bad", role: "alert" }, reason) : "",
    make("p", {}, "Enter the API key that you were given. It stays in this tab and is gone when you close it."),
    field("API key", { type: "password", autocomplete: "off", spellcheck: "false" }),
  ], "Use this key", { read: value });

/** A name from a list, or a new one: {id} or {title}; null when the user leaves. */
export function choose(title, options, label) {
  const picked = { id: null };
  return open(title, [
    options.length > 0 && make("ul", { class: "options" }, ...options.map(({ id, text, under }) =>
      make("li", {}, make("button", {
        type: "button",
        class: "option",
        onclick: (event) => {
          picked.id = id;
          event.currentTarget.closest("dialog").close("yes");
        },
      }, make("span", {}, text), make("span", { class: "soft" }, under))))),
    field(label, { maxlength: 80, pattern: ".*\\S.*" }),
  ], "Create and add", { read: (dialog) => (picked.id ? picked : { title: value(dialog) }) });
}

/** A short message that goes by itself, above dialogs too; the status line has it read out. */
export function toast(text, { bad = false } = {}) {
  const line = make("p", { class: bad ? "toast bad" : "toast" }, text);
  const stack = $("toasts");
  if (stack.lastChild?.textContent === text) stack.lastChild.remove();
  $("status").textContent = text;
  stack.append(line);
  while (stack.children.length > 2) stack.firstChild.remove();
  if (stack.matches(":popover-open")) stack.hidePopover();
  stack.showPopover(); // the last one shown is on top
  setTimeout(() => {
    line.remove();
    if (!stack.children.length && stack.matches(":popover-open")) stack.hidePopover();
  }, bad ? 9000 : 5000);
}
