// Elements. What comes from the server is set as text or as an attribute, never as markup.

export const $ = (id) => document.getElementById(id);

/** An element: attributes (on… are listeners, true is a bare attribute), then children; null children are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false && child !== ""));
  return element;
}

const PATHS = {
  save: "M12 20s-7.2-4.5-8.8-8.6C2 8.2 4 5 7 5c2 0 3.7 1.1 5 3 1.3-1.9 3-3 5-3 3 0 5 3.2 3.8 6.4C19.2 15.5 12 20 12 20z",
  like: "M11 4.5l1.9 5.1L18 11.5l-5.1 1.9L11 18.5l-1.9-5.1L4 11.5l5.1-1.9zM19 3.5v4M17 5.5h4M19 16.5v4M17 18.5h4",
  board: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM16.5 13.5v6M13.5 16.5h6",
  hide: "M4 4l16 16M9.5 5.4A10 10 0 0 1 12 5c5 0 8.5 4 9.5 7a12 12 0 0 1-3 4.4M6.3 6.8A12 12 0 0 0 2.5 12c1 3 4.5 7 9.5 7a10 10 0 0 0 4.5-1.1M9.9 9.9a3 3 0 0 0 4.2 4.2",
  rename: "M5 19h3.5L19 8.5 15.5 5 5 15.5zM13 7.5l3.5 3.5",
  remove: "M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  close: "M6 6l12 12M18 6L6 18",
};

/** A decorative icon, drawn in the text's colour. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A round button that shows an icon alone; its name is read out and shown as a tip. */
export function iconButton(name, label, onclick, attributes = {}) {
  return make("button", { type: "button", class: "round", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

/** A picture that shimmers until it is there. */
export function picture(item, attributes = {}) {
  const image = make("img", { src: item.image_url, alt: "", loading: "lazy", draggable: "false", width: 160, height: 160, ...attributes });
  const frame = make("span", { class: "frame loading" }, image);
  const done = () => frame.classList.remove("loading");
  image.addEventListener("load", done);
  image.addEventListener("error", () => { done(); frame.classList.add("missing"); });
  return frame;
}

/** Scrolls smoothly, unless the reader wants no motion. */
export function scrollTo(element, block = "start") {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}
