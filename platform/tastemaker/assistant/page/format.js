// Numbers and times in words.

const number = (digits) => new Intl.NumberFormat(undefined, { maximumFractionDigits: digits });

export const price = (item) => (item.price == null ? "" : number(2).format(item.price));

export const whole = (value) => number(0).format(value ?? 0);

/** Milliseconds, as seconds where they are many. */
export function duration(ms) {
  return ms >= 10_000 ? `${number(1).format(ms / 1000)} s` : `${whole(ms)} ms`;
}

/** US cents; four digits that mean something, because one answer costs small parts of one. */
export function cents(value) {
  if (!value) return "0 ¢";
  return `${new Intl.NumberFormat(undefined, { maximumSignificantDigits: value < 1 ? 3 : 4 }).format(value)} ¢`;
}

export const count = (many, one, more = `${one}s`) => `${whole(many)} ${many === 1 ? one : more}`;

/** "3 minutes" of a time in seconds. */
export function span(seconds) {
  const units = [[86_400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const [size, unit] = units.find(([least]) => seconds >= least) ?? [1, "second"];
  return count(Math.round(seconds / size), unit);
}

export const ago = (time_ms) => `${span(Math.max(0, (Date.now() - time_ms) / 1000))} ago`;

/** "save_7d" as its action and its window; the window is empty where there is none. */
export function counter(name) {
  const [, action, window] = /^(.*?)(?:_(\d+[a-z]+))?$/.exec(name);
  return { action: action.replaceAll("_", " "), window: window ?? "" };
}
