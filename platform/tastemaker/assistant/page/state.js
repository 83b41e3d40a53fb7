// Who asks and in which conversation; kept for this tab, so that a reload goes on where it was.

const MAX_MESSAGES = 40;

/** A random id, 128 bits; also where the page is not served over TLS. */
export function token() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A visitor's own id in this browser: boards and signals need somebody to belong to. */
function visitor() {
  const kept = localStorage.getItem("visitor");
  if (kept) return kept;
  const made = `visitor-${token().slice(0, 12)}`;
  localStorage.setItem("visitor", made);
  return made;
}

export const state = {
  me: { name: "", user: null, roles: [], auth: "open" },
  visitor: visitor(),
  user: sessionStorage.getItem("user") || visitor(),
  conversation: sessionStorage.getItem("conversation"),
  messages: [], // the history as an OpenAI client keeps it
  board: null,  // the board that the next question is about
};

export function keepConversation(id) {
  state.conversation = id;
  if (id) sessionStorage.setItem("conversation", id);
  else sessionStorage.removeItem("conversation");
}

export function remember(question, answer) {
  state.messages.push({ role: "user", content: question }, { role: "assistant", content: answer });
  state.messages = state.messages.slice(-MAX_MESSAGES);
}

export function becomeUser(user) {
  state.user = user;
  sessionStorage.setItem("user", user);
}

/** Forget this browser's visitor: the next one starts from nothing. */
export function newVisitor() {
  localStorage.removeItem("visitor");
  const before = state.visitor;
  state.visitor = visitor();
  if (state.user === before) becomeUser(state.visitor);
}
