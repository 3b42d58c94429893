/** The URL of the link with `rel="next"` in a `Link` header (RFC 8288). */
export function nextLink(header: string | null): string | undefined {
  const text = header ?? "";
  for (let at = text.indexOf("<"); at >= 0; at = text.indexOf("<", at)) {
    const end = text.indexOf(">", at);
    if (end < 0) return undefined;
    const url = text.slice(at + 1, end);
    let isNext = false;
    at = end + 1;
    do {
      const from = at;
      at = parameterEnd(text, from);
      isNext ||= isRelNext(text.slice(from, at));
    } while (text[at++] === ";");
    if (isNext) return url;
  }
  return undefined;
}

/** The end of the parameter that begins at `from`: the next comma or semicolon outside quotes. */
function parameterEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "," && text[at] !== ";") {
    const quote = text[at] === '"' ? text.indexOf('"', at + 1) : at;
    if (quote < 0) return text.length;
    at = quote + 1;
  }
  return at;
}

function isRelNext(parameter: string): boolean {
  const equals = parameter.indexOf("=");
  if (parameter.slice(0, Math.max(0, equals)).trim().toLowerCase() !== "rel") return false;
  const value = parameter.slice(equals + 1).trim().toLowerCase();
  return value === "next" || value.startsWith('"') && value.slice(1, -1).split(/\s+/).includes("next");
}
