/** A link of a page: its `href` as written, and the text after it up to the next link. */
export interface Link {
  href: string;
  after: string;
}

/** Characters kept after a link: enough for a size and a time. */
const MAX_AFTER = 600;

/**
 * Yields each `<a … href=…>` of a page, in order, in time linear in any page. An unclosed quote counts as a plain character;
 * an unclosed tag is not a link.
 */
export function* linksIn(html: string): Generator<Link> {
  const tag = new Tags(html);
  let href = tag.next();
  while (href !== undefined) {
    const from = tag.at;
    const next = tag.next();
    yield { href, after: html.slice(from, Math.min(from + MAX_AFTER, tag.begin)) };
    href = next;
  }
}

class Tags {
  /** Start of the last tag, and the position after it. */
  begin = 0;
  at = 0;
  /** Quote characters that do not occur in the rest of the page. */
  #unclosed = new Set<string>();

  constructor(private readonly html: string) {}

  /** Reads to the next `<a` with an `href`, and returns the `href`; undefined at the end. */
  next(): string | undefined {
    const { html } = this;
    while (true) {
      this.begin = html.indexOf("<", this.at);
      if (this.begin < 0) {
        this.begin = this.at = html.length;
        return undefined;
      }
      this.at = this.begin + 1;
      if (html[this.at] !== "a" && html[this.at] !== "A" || !isBlank(html, this.at + 1)) continue;
      this.at++;
      const href = this.#attributes();
      if (href !== undefined) return href;
    }
  }

  /** Reads a tag's attributes and its end; returns its first `href`. */
  #attributes(): string | undefined {
    const { html } = this;
    let href: string | undefined;
    while (this.at < html.length) {
      const character = html[this.at]!;
      if (character === ">") {
        this.at++;
        return href;
      }
      if (character === "/" || isBlank(html, this.at)) this.at++;
      else {
        const name = this.#until(">/=");
        this.#blanks();
        if (html[this.at] !== "=") {
          // Skip a character that cannot begin a name.
          if (name === "") this.at++;
          continue;
        }
        this.at++;
        this.#blanks();
        const value = this.#value();
        if (name.toLowerCase() === "href") href ??= value;
      }
    }
    return undefined;
  }

  #value(): string {
    const { html } = this;
    const quote = html[this.at] ?? "";
    if (quote === '"' || quote === "'") {
      const end = this.#unclosed.has(quote) ? -1 : html.indexOf(quote, this.at + 1);
      if (end >= 0) {
        const value = html.slice(this.at + 1, end);
        this.at = end + 1;
        return value;
      }
      this.#unclosed.add(quote);
    }
    return this.#until(">");
  }

  /** Reads to the next white space or one of the given characters. */
  #until(ends: string): string {
    const { html } = this;
    const from = this.at;
    while (this.at < html.length && !ends.includes(html[this.at]!) && !isBlank(html, this.at)) this.at++;
    return html.slice(from, this.at);
  }

  #blanks(): void {
    while (isBlank(this.html, this.at)) this.at++;
  }
}

/** Whether the character is HTML white space. */
function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 32 || code >= 9 && code <= 13 && code !== 11;
}
