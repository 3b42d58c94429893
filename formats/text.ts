import { MAX_CASE, MAX_EXCERPT } from "../schemas/record.ts";

/** Text that Postgres can store: NUL and lone surrogates become U+FFFD. */
export function cleanText(text: string): string {
  return text.isWellFormed() && !text.includes("\0") ? text : text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** A case name, cleaned and cut to `MAX_CASE` characters; `(no name)` for a blank name. */
export function caseName(name: string): string {
  return cleanText(name.length > MAX_CASE ? name.slice(0, MAX_CASE) : name).trim() || "(no name)";
}

/** A message or log, cleaned and cut to `MAX_EXCERPT` characters; undefined for a blank text. */
export function excerpt(text: string): string | undefined {
  const cut = text.trim();
  return cut === "" ? undefined : cleanText(cut.length > MAX_EXCERPT ? cut.slice(0, MAX_EXCERPT) : cut);
}

/** The source's own word for an outcome, cut to 64 characters. */
export function wordOf(word: string): string {
  return cleanText(word.slice(0, 64));
}

/** Converts seconds to milliseconds. A text may have thousands separators or a trailing `s`. Undefined for an invalid time. */
export function milliseconds(seconds: unknown): number | undefined {
  if (typeof seconds !== "number" && typeof seconds !== "string") return undefined;
  let value = Number(seconds);
  // Fast path: nearly all values are plain numbers.
  if (!(value > 0)) {
    const text = String(seconds).trim().replace(/s$/, "");
    if (text === "") return undefined;
    const isGrouped = /^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$/.test(text);
    value = Number(isGrouped ? text.replaceAll(",", "") : text.replace(",", "."));
  }
  return value >= 0 && value < 1e9 ? Math.round(value * 1e6) / 1e3 : undefined;
}
