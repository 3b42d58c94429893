import { MAX_CASE, MAX_EXCERPT } from "../schemas/record.ts";

/** Text as Postgres holds it: neither NUL nor lone surrogates. */
export function cleanText(text: string): string {
  return text.isWellFormed() && !text.includes("\0") ? text : text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** A case's name, cut to what is kept; `(no name)` where nothing is left. */
export function caseName(name: string): string {
  return cleanText(name.length > MAX_CASE ? name.slice(0, MAX_CASE) : name).trim() || "(no name)";
}

/** What is kept of a message or a log, or undefined where it is blank. */
export function excerpt(text: string): string | undefined {
  const cut = text.trim();
  return cut === "" ? undefined : cleanText(cut.length > MAX_EXCERPT ? cut.slice(0, MAX_EXCERPT) : cut);
}

/** The source's own word for an outcome, cut to what is kept. */
export function wordOf(word: string): string {
  return cleanText(word.slice(0, 64));
}

/** Milliseconds of a time in seconds, at times with thousands' commas or an `s` behind; what is no time is left out. */
export function milliseconds(seconds: unknown): number | undefined {
  if (typeof seconds !== "number" && typeof seconds !== "string") return undefined;
  let value = Number(seconds);
  // Nearly all are plain numbers.
  if (!(value > 0)) {
    const text = String(seconds).trim().replace(/s$/, "");
    if (text === "") return undefined;
    const isGrouped = /^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$/.test(text);
    value = Number(isGrouped ? text.replaceAll(",", "") : text.replace(",", "."));
  }
  return value >= 0 && value < 1e9 ? Math.round(value * 1e6) / 1e3 : undefined;
}
