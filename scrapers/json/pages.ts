import { nextLink } from "../http/next_link.ts";
import { createHash } from "node:crypto";
import { z } from "zod";
import { HubError } from "../../errors.ts";
import { turns } from "../../turns.ts";
import { findJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { shownUrl } from "../http/fetch.ts";
import { finder, path, textOf } from "./mapping.ts";

const parameter = z.string().regex(/^[\w.[\]-]{1,100}$/, "must be a query parameter's name");

/** How to find the next page. */
export const nextPage = z.union([
  z.strictObject({ page: parameter, from: z.number().int().min(0).default(1) }).meta({
    description: "Query parameter with the page number; ends at a page without runs",
  }),
  z.strictObject({ offset: parameter, step: z.number().int().min(1).max(1_000_000) }).meta({
    description: "Query parameter with the offset, increased by `step` a page; ends at a page without runs",
  }),
  z.strictObject({ cursor: parameter, path }).meta({
    description:
      "Query parameter with the cursor found at `path` in the page before; ends when there is none",
  }),
  z.strictObject({ path }).meta({ description: "The page contains the next page's address at `path`" }),
  z.strictObject({ link: z.literal(true) }).meta({
    description: "The `Link` header contains the next page's address as rel=next",
  }),
]);
export type NextPage = z.infer<typeof nextPage>;

const MAX_PAGES = 100_000;
/** Stands for a page that answered 404. */
const MISSING = Symbol("missing");

/**
 * Yields the pages of a JSON API, reading one page ahead. `isEmpty` returns whether a page has no items.
 * @throws HubError BAD_GATEWAY when the source repeats a page or has more than `MAX_PAGES`
 */
export async function* readPages(
  context: ScrapeContext,
  address: string,
  { next, init, isEmpty }: {
    next: NextPage | undefined;
    init: FetchInit;
    isEmpty: (page: unknown) => boolean;
  },
): AsyncGenerator<unknown> {
  const first = new URL(address);
  if (next !== undefined && "page" in next) first.searchParams.set(next.page, String(next.from));
  const seen = new Set([first.href]);
  let before = "";
  let coming = readPage(context, first, init);
  for (let count = 1; count <= MAX_PAGES; count++) {
    const { url, value, link, hash } = await coming;
    // Some servers answer 404 after the last page.
    if (value === MISSING && count > 1 && next !== undefined && ("page" in next || "offset" in next)) return;
    if (value === MISSING) throw new HubError("BAD_GATEWAY", `${shownUrl(url)} answered 404.`);
    if (next !== undefined && ("page" in next || "offset" in next) && !isEmpty(value)) {
      if (hash === before) {
        throw new HubError(
          "BAD_GATEWAY",
          `The source repeats its pages: ${shownUrl(url)} returned the same page twice.`,
        );
      }
      before = hash;
    }
    if (isEmpty(value) && (next === undefined || "page" in next || "offset" in next)) return;
    const following = next === undefined ? undefined : nextOf(next, { first, url, value, link, count, hash });
    if (following !== undefined) {
      if (seen.has(following.href)) {
        throw new HubError(
          "BAD_GATEWAY",
          `The source repeats its pages: it links to ${following.href} twice.`,
        );
      }
      seen.add(following.href);
      coming = readPage(context, following, init);
      // Awaited in the next iteration. Without a handler, its failure would be an unhandled rejection if this iteration throws.
      coming.catch(() => {});
    }
    yield value;
    if (following === undefined) return;
  }
  throw new HubError("BAD_GATEWAY", `The source has more than ${MAX_PAGES} pages, the limit of one scrape.`);
}

interface ReadPage {
  url: URL;
  value: unknown;
  link: string | null;
  /** SHA-256 of the page's text. */
  hash: string;
}

/** Characters hashed before other work gets its turn. */
const HASHED_AT_ONCE = 1 << 18;

async function hashOf(text: string): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < text.length; at += HASHED_AT_ONCE) {
    await turns.take();
    hash.update(text.slice(at, at + HASHED_AT_ONCE));
  }
  return hash.digest("base64url");
}

async function readPage(context: ScrapeContext, url: URL, init: FetchInit): Promise<ReadPage> {
  const found = await findJson(context, url.href, z.unknown(), init);
  if (found === undefined) return { url, value: MISSING, link: null, hash: "" };
  return { url, value: found.value, link: found.headers.get("link"), hash: await hashOf(found.text) };
}

function nextOf(
  next: NextPage,
  { first, url, value, link, count }: ReadPage & { first: URL; count: number },
): URL | undefined {
  const changed = new URL(first);
  if ("page" in next) changed.searchParams.set(next.page, String(next.from + count));
  else if ("offset" in next) changed.searchParams.set(next.offset, String(next.step * count));
  else if ("cursor" in next) {
    const cursor = textOf(finder(next.path)(value));
    if (cursor === undefined || cursor === "") return undefined;
    changed.searchParams.set(next.cursor, cursor);
  } else {
    const target = "link" in next ? nextLink(link) : textOf(finder(next.path)(value));
    return target ? new URL(target, url) : undefined;
  }
  return changed;
}
