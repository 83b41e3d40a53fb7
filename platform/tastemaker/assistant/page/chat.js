// A turn: the question goes out, steps and words come in; it can be stopped, and survives a dropped connection.

import { Dropped, events, json, Refused, request } from "./api.js";
import { beginLine, earlierTurn } from "./answers.js";
import { load as loadBoards } from "./boards.js";
import { toast } from "./dialogs.js";
import { $ } from "./elements.js";
import { closeDrawers, openPanel } from "./panels.js";
import { addTurn, beginTurn, clearPlan, showPlan } from "./plan.js";
import { keepConversation, remember, state, token } from "./state.js";

const PAUSES_MS = [500, 2000]; // before the second and third try of a dropped request

let running = null; // AbortController of the turn under way

export const isRunning = () => Boolean(running);
export const stop = () => running?.abort();

const actions = { ask: (question) => ask(question), showPlan: () => openPanel("plan") };

/** A request with its key: sent again as it is, so that it is answered once. */
function seal({ text, content, extra }) {
  const body = {
    model: "tastemaker",
    stream: true,
    user: state.user,
    messages: [...state.messages, { role: "user", content: content ?? text }],
    tastemaker: { ...(state.conversation ? { conversation: state.conversation } : {}), ...extra },
  };
  return { body: JSON.stringify(body), headers: { "idempotency-key": token() } };
}

/** Asks {text, content?, extra?, image?}; false while another answer is under way. */
export function ask(question) {
  if (running) {
    toast("One answer at a time: stop this one first.");
    return false;
  }
  closeDrawers();
  $("welcome").hidden = true;
  run(question, seal(question));
  return true;
}

async function run(question, sealed) {
  const mine = new AbortController();
  const line = beginLine(question, actions);
  const plan = beginTurn(question.text);
  const again = (request) => () => {
    if (running) return;
    line.remove();
    plan.drop();
    run(question, request);
    $("question").focus({ preventScroll: true });
  };
  busy(mine);
  try {
    const { said, turn } = await receive(sealed, mine.signal, line, plan);
    keepConversation(turn.conversation);
    remember(question.text, said);
    line.finish(said, turn);
    plan.finish(turn);
    if (turn.board || turn.steps.some(({ tool }) => tool === "board_save")) loadBoards();
  } catch (error) {
    if (mine.signal.aborted) {
      line.stopped(again(seal(question)));
      plan.fail("Stopped");
    } else {
      line.failed(error, again(error instanceof Dropped ? sealed : seal(question)));
      plan.fail(error.message);
    }
  } finally {
    if (running === mine) busy(null);
  }
}

/** One turn, whole; a dropped connection is tried again under the same key. */
async function receive(sealed, signal, line, plan) {
  line.wait("Looking…");
  $("status").textContent = "Looking…";
  for (const pause of [...PAUSES_MS, null]) {
    try {
      return await stream(sealed, signal, line, plan);
    } catch (error) {
      if (signal.aborted || !(error instanceof Dropped) || pause === null) throw error;
      line.wait("The connection dropped. Asking again…");
      plan.again();
      await new Promise((resolve) => { setTimeout(resolve, pause); signal.addEventListener("abort", resolve); });
    }
  }
}

async function stream(sealed, signal, line, plan) {
  const response = await request("/v1/chat/completions", { method: "POST", signal, ...sealed });
  let said = "";
  let turn = null;
  for await (const event of events(response, signal)) {
    if (event.error) throw new Refused(event.error.message, 503, null);
    const delta = event.choices[0]?.delta.content ?? "";
    if (delta) line.say(delta);
    said += delta;
    if (event.tastemaker?.step) {
      line.step(event.tastemaker.step);
      plan.step(event.tastemaker.step);
    } else if (event.tastemaker) turn = event.tastemaker;
  }
  if (!turn) throw new Dropped("The answer broke off.");
  return { said, turn };
}

/** The send button becomes a stop button while an answer is under way. */
function busy(controller) {
  running = controller;
  document.body.classList.toggle("running", Boolean(controller));
  $("send").hidden = Boolean(controller);
  const held = document.activeElement === $("stop");
  $("stop").hidden = !controller;
  if (held && !controller) $("question").focus();
}

/** Begins a new conversation. */
export function startAgain() {
  running?.abort();
  busy(null);
  keepConversation(null);
  Object.assign(state, { messages: [], board: null });
  clearPlan();
  $("log").replaceChildren();
  $("welcome").hidden = false;
}

/** Shows the conversation that this tab was in; one that is forgotten is left. */
export async function restore() {
  showPlan();
  if (!state.conversation) return;
  try {
    const { turns } = await json(`/v1/conversations/${encodeURIComponent(state.conversation)}?user=${encodeURIComponent(state.user)}`);
    for (const turn of turns) {
      remember(turn.question, turn.answer);
      earlierTurn(turn, actions);
      addTurn(turn);
    }
    $("welcome").hidden = turns.length > 0;
    $("log").lastElementChild?.scrollIntoView({ block: "end" });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    keepConversation(null);
    clearPlan();
  }
}
