import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { LRUCache } from "lru-cache";
import type { JsonText } from "../db/core/json_text.ts";

/** A response at a version. */
export interface CachedPage {
  version: string;
  tag: string;
  answer: JsonText<unknown>;
  /** The response as gzip, compressed on first use, see `packed`. */
  gzip?: Promise<Uint8Array<ArrayBuffer>>;
}

const pack = promisify(gzip);

/** Returns a page as gzip. Compresses it once, outside of the thread that answers requests. */
export function packed(page: CachedPage): Promise<Uint8Array<ArrayBuffer>> {
  if (page.gzip === undefined) {
    page.gzip = pack(page.answer.text) as Promise<Uint8Array<ArrayBuffer>>;
    page.gzip.catch(() => delete page.gzip);
  }
  return page.gzip;
}

/**
 * Caches pages that are requested repeatedly, for example by a dashboard, and can be served while their version is current. A
 * page is cached at its second request, so that a client that reads a whole list evicts nothing.
 */
export interface PageCache {
  find(question: string): CachedPage | undefined;
  /** Caches a page if its question was requested before and the page is not too large. */
  offer(question: string, page: CachedPage): void;
}

/** Questions requested once: total size in characters, and overhead per question. */
const QUESTIONS = 1 << 20;
const QUESTION = 100;
/** Longest question remembered, in characters. */
const LONGEST = 1000;
/** Overhead of a page besides its text and its gzip (at most half the text). Most of the size of a small page. */
const OVERHEAD = 1500;
/** Maximum share of the cache for one page. */
const SHARE = 1 / 16;

/** Caches up to `characters` of pages (1 byte each, or 2 in a page with characters beyond Latin-1). 0 disables the cache. */
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
