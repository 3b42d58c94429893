import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { LRUCache } from "lru-cache";
import type { JsonText } from "../db/core/json_text.ts";

/** An answer as it was at a version. */
export interface CachedPage {
  version: string;
  tag: string;
  answer: JsonText<unknown>;
  /** The answer as gzip; made when first asked for, see `packed`. */
  gzip?: Promise<Uint8Array<ArrayBuffer>>;
}

const pack = promisify(gzip);

/** A page as gzip. It is packed once, outside of the one thread that answers. */
export function packed(page: CachedPage): Promise<Uint8Array<ArrayBuffer>> {
  if (page.gzip === undefined) {
    page.gzip = pack(page.answer.text) as Promise<Uint8Array<ArrayBuffer>>;
    page.gzip.catch(() => delete page.gzip);
  }
  return page.gzip;
}

/**
 * Pages that are asked for again and again, a dashboard's say, and may be told again as long as their version holds. A page
 * is taken when its question comes a second time: who goes through a whole list pushes nothing out.
 */
export interface PageCache {
  find(question: string): CachedPage | undefined;
  /** Takes a page, where its question came before, and it is not too large. */
  offer(question: string, page: CachedPage): void;
}

/** Of questions that came once: characters of all, and what each takes besides its own. */
const QUESTIONS = 1 << 20;
const QUESTION = 100;
/** Longest question remembered, in characters. */
const LONGEST = 1000;
/** What a page takes besides its text and, at most half of that, its gzip; small ones are mostly this. */
const OVERHEAD = 1500;
/** Most of all room that one page takes. */
const SHARE = 1 / 16;

/** Holds up to `characters` of pages (a byte each, or two where a page has letters beyond Latin-1); none at 0. */
export function createPageCache(characters: number): PageCache {
  if (characters === 0) return { find: () => undefined, offer: () => {} };
  const pages = new LRUCache<string, CachedPage>({
    maxSize: characters,
    maxEntrySize: Math.max(1, Math.floor(characters * SHARE)),
    sizeCalculation: ({ answer }, question) =>
      OVERHEAD + question.length + Math.ceil(1.5 * answer.text.length),
  });
  const asked = new LRUCache<string, true>({
    maxSize: QUESTIONS,
    sizeCalculation: (_true, question) => QUESTION + question.length,
  });
  return {
    find: (question) => pages.get(question),
    offer(question, page) {
      if (question.length > LONGEST) return;
      if (pages.has(question) || asked.has(question)) pages.set(question, page);
      else asked.set(question, true);
    },
  };
}
