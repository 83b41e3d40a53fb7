// The gateway's HTTP API: errors that can be read, the key where one is asked for, streams of events.

import { askKey } from "./dialogs.js";

const KEY = "api-key";

/** A reply that says no. `retryAfterS` is seconds to wait, null where unknown. */
export class Refused extends Error {
  constructor(message, status, retryAfterS) {
    super(message);
    Object.assign(this, { status, retryAfterS });
  }
}

/** The gateway could not be reached, or the connection ended before the reply did. */
export class Dropped extends Error {}

export const hasKey = () => Boolean(sessionStorage.getItem(KEY));

let asking = null; // one dialog, however many requests wait for the key

/** Asks for a key and keeps it in this tab; false when the user would rather not. */
export function enterKey(reason) {
  asking ??= askKey(reason).then((key) => {
    if (key) sessionStorage.setItem(KEY, key);
    return Boolean(key);
  }).finally(() => { asking = null; });
  return asking;
}

export const forgetKey = () => sessionStorage.removeItem(KEY);

function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const key = sessionStorage.getItem(KEY);
  return fetch(path, {
    method,
    signal,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(key ? { authorization: `Bearer ${key}` } : {}),
      ...headers,
    },
    body: typeof body === "string" || body === undefined ? body : JSON.stringify(body),
  });
}

async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after") ?? said.error?.retry_after_s ?? NaN);
  const reason = said.error?.message ?? `The assistant answered ${response.status}.`;
  return new Refused(reason, response.status, Number.isFinite(wait) ? Math.ceil(wait) : null);
}

/**
 * One request; a 401 asks for a key, once, and tries again.
 * @throws {Refused} the reply's status is not a success.
 * @throws {Dropped} there was no reply.
 */
export async function request(path, options = {}) {
  for (let tries = 0; ; tries += 1) {
    let response;
    try {
      response = await send(path, options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new Dropped("The assistant cannot be reached.");
    }
    if (response.ok) return response;
    const error = await refusal(response);
    if (error.status !== 401 || tries > 2 || !(await enterKey(hasKey() ? error.message : ""))) throw error;
  }
}

export const json = async (path, options) => (await request(path, options)).json();

/**
 * The server-sent events of a response, up to [DONE].
 * @throws {Dropped} the stream ended before that.
 */
export async function* events(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (signal?.aborted) throw error;
      throw new Dropped("The connection dropped before the answer was complete.");
    });
    if (done) throw new Dropped("The answer broke off.");
    const parts = (held + value).split(/\r?\n\r?\n/);
    held = parts.pop();
    for (const part of parts) {
      const data = part.split(/\r?\n/).filter((row) => row.startsWith("data:")).map((row) => row.slice(5).trimStart()).join("\n");
      if (data === "[DONE]") return;
      if (data) yield JSON.parse(data);
    }
  }
}
