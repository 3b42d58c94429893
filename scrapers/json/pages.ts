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

const parameter = z.string().regex(/^[\w.[\]-]{1,100}$/, "must be a parameter's name");

/** Where the next page is. */
export const nextPage = z.union([
  z.strictObject({ page: parameter, from: z.number().int().min(0).default(1) }).meta({
    description: "Parameter that counts pages, until one has no runs",
  }),
  z.strictObject({ offset: parameter, step: z.number().int().min(1).max(1_000_000) }).meta({
    description: "Parameter that counts what was seen, until a page has no runs",
  }),
  z.strictObject({ cursor: parameter, path }).meta({
    description: "Parameter that takes what the page tells at the path, until it tells nothing",
  }),
  z.strictObject({ path }).meta({ description: "The page tells the next one's address at the path" }),
  z.strictObject({ link: z.literal(true) }).meta({ description: "The header `Link` tells it, as rel=next" }),
]);
export type NextPage = z.infer<typeof nextPage>;

const MAX_PAGES = 100_000;
/** In place of a page that is not there. */
const GONE = Symbol("gone");

/**
 * The pages of a JSON API, one read ahead. `isEmpty` says whether a page has nothing.
 * @throws HubError BAD_GATEWAY where the source repeats a page, or its last one never comes
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
    const { url, value, link, print } = await coming;
    // Some answer 404 behind the last page.
    if (value === GONE && count > 1 && next !== undefined && ("page" in next || "offset" in next)) return;
    if (value === GONE) throw new HubError("BAD_GATEWAY", `${shownUrl(url)} answered 404.`);
    if (next !== undefined && ("page" in next || "offset" in next) && !isEmpty(value)) {
      if (print === before) {
        throw new HubError(
          "BAD_GATEWAY",
          `The source repeats its pages: ${shownUrl(url)} tells the same again.`,
        );
      }
      before = print;
    }
    if (isEmpty(value) && (next === undefined || "page" in next || "offset" in next)) return;
    const following = next === undefined
      ? undefined
      : nextOf(next, { first, url, value, link, count, print });
    if (following !== undefined) {
      if (seen.has(following.href)) {
        throw new HubError("BAD_GATEWAY", `The source repeats its pages: ${following.href} comes again.`);
      }
      seen.add(following.href);
      coming = readPage(context, following, init);
      // Awaited in the next turn; should this one throw, nobody else hears of it.
      coming.catch(() => {});
    }
    yield value;
    if (following === undefined) return;
  }
  throw new HubError("BAD_GATEWAY", `The source gave more than ${MAX_PAGES} pages at once.`);
}

interface ReadPage {
  url: URL;
  value: unknown;
  link: string | null;
  /** Hash of its text. */
  print: string;
}

/** Characters that are hashed at once. */
const HASHED_AT_ONCE = 1 << 18;

async function printOf(text: string): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < text.length; at += HASHED_AT_ONCE) {
    await turns.take();
    hash.update(text.slice(at, at + HASHED_AT_ONCE));
  }
  return hash.digest("base64url");
}

async function readPage(context: ScrapeContext, url: URL, init: FetchInit): Promise<ReadPage> {
  const found = await findJson(context, url.href, z.unknown(), init);
  if (found === undefined) return { url, value: GONE, link: null, print: "" };
  return { url, value: found.value, link: found.headers.get("link"), print: await printOf(found.text) };
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
