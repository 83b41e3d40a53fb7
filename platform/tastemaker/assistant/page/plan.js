// The plan panel: steps, arguments, tokens, time and money of each turn, and of the conversation.

import { $, make } from "./elements.js";
import { cents, count, duration, whole } from "./format.js";

const MAX_TURNS = 50;
const NAMES = {
  search_items: "Searched the catalogue",
  similar_items: "Looked for similar items",
  recommend: "Recommended",
  complete_board: "Completed a board",
  shop_room: "Shopped the room",
  board_get: "Opened a board",
  board_save: "Saved a board",
  answer: "Answered",
};

let turns = [];

export const nameOf = (step) => NAMES[step.tool] ?? step.tool;

/** Begins a turn; what it returns takes the steps and the end of it. */
export function beginTurn(question) {
  const turn = { question, steps: [], running: true };
  turns = [...turns, turn].slice(-MAX_TURNS);
  showPlan();
  const end = (fields) => {
    Object.assign(turn, fields, { running: false });
    showPlan();
  };
  return {
    step: (step) => { turn.steps.push(step); showPlan(); },
    again: () => { turn.steps = []; },
    finish: ({ steps, tokens, ms, cents: money, trace }) => end({ steps, tokens, ms, cents: money, trace }),
    fail: (reason) => end({ failed: reason }),
    drop: () => { turns = turns.filter((other) => other !== turn); showPlan(); },
  };
}

/** A turn from before the page was loaded. */
export function addTurn(turn) {
  if (!turn.steps) return;
  turns.push(turn);
  showPlan();
}

export function clearPlan() {
  turns = [];
  showPlan();
}

const tokensOf = (tokens) => (tokens ? tokens.prompt + tokens.completion : 0);

/** "2 steps · 340 ms · 1,024 tokens · 0.02 ¢" */
export function summary(turn) {
  const parts = [count(turn.steps.length, "step"), duration(turn.ms ?? 0), `${whole(tokensOf(turn.tokens))} tokens`];
  if (turn.cents != null) parts.push(cents(turn.cents));
  return parts.join(" · ");
}

export function showPlan() {
  const sum = (of) => turns.reduce((total, turn) => total + (of(turn) ?? 0), 0);
  const totals = [
    ["Turns", whole(turns.length)],
    ["Tokens", whole(sum((turn) => tokensOf(turn.tokens)))],
    ["Time", duration(sum((turn) => turn.ms))],
    ["Cost", cents(sum((turn) => turn.cents))],
  ];
  $("totals").replaceChildren(...totals.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  $("no-plan").hidden = turns.length > 0;
  const unfolded = new Set([...$("turns").querySelectorAll("details[open]")].map((element) => Number(element.dataset.turn)));
  const newest = turns.length - 1;
  const drawn = turns.map((turn, n) => turnElement(turn, n, n === newest || unfolded.has(n)));
  $("turns").replaceChildren(...drawn.reverse());
}

function turnElement(turn, n, open) {
  const longest = Math.max(1, ...turn.steps.map((step) => step.ms + step.router_ms));
  return make("li", {},
    make("details", { open, "data-turn": n },
      make("summary", {}, make("span", { class: "asked" }, turn.question),
        make("span", { class: "soft" }, turn.failed ?? (turn.running ? "Under way…" : summary(turn)))),
      make("ol", { class: "steps" }, ...turn.steps.map((step) => stepElement(step, longest))),
      turn.trace && make("p", { class: "soft trace" }, "Trace ", make("code", {}, turn.trace))));
}

function stepElement(step, longest) {
  const found = step.num_items ? `${count(step.num_items, "item")}${step.list ? ` as ${step.list}` : ""}` : "";
  const spent = step.tokens && `${whole(step.tokens.prompt)} + ${whole(step.tokens.completion)} tokens`;
  return make("li", {},
    make("div", { class: "line" }, make("strong", {}, nameOf(step)), make("code", { class: "soft" }, step.tool)),
    facts(step.arguments),
    step.error && make("p", { class: "bad" }, step.error),
    bar(step, longest),
    make("p", { class: "soft" }, [
      `${duration(step.router_ms)} thinking`, `${duration(step.ms)} tool`, found, spent,
      step.cents != null && cents(step.cents), step.backend,
    ].filter(Boolean).join(" · ")));
}

function facts(given) {
  const rows = Object.entries(given ?? {});
  if (!rows.length) return null;
  return make("dl", { class: "facts" }, ...rows.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, typeof value === "string" ? value : JSON.stringify(value)))));
}

function bar(step, longest) {
  const part = (kind, ms) => {
    const piece = make("span", { class: kind });
    piece.style.width = `${(100 * ms) / longest}%`;
    return piece;
  };
  return make("div", { class: "bar", "aria-hidden": "true" }, part("thinking", step.router_ms), part("working", step.ms));
}
