import { cleanText } from "../../formats/text.ts";
import type { ReadPolicy } from "../http/read_policy.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";

/** The services a scraper gets besides its test and watermark. */
export interface ScrapeContext {
  fetch: BoundedFetch;
  signal: AbortSignal;
  allow: ReadPolicy;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Counts items of the source that were looked at. */
  seen(count?: number): void;
  /** Counts an ignored item under its reason; `place` identifies the item. */
  ignore(reason: string, place?: string): void;
}

export interface ScrapeCounts {
  seen: number;
  /** Reason -> count. Beyond 100 reasons, the rest count as "other reasons". */
  ignored: Record<string, number>;
  /** The first 20 ignored items. */
  samples: { place: string; reason: string }[];
}

const MAX_REASONS = 100;
const MAX_SAMPLES = 20;

export interface ContextOptions {
  fetch: BoundedFetch;
  signal: AbortSignal;
  allow: ReadPolicy;
  now?: () => Date;
  log?: (message: string, fields?: Record<string, unknown>) => void;
}

/** Creates a context and the counts it updates. */
export function createContext(options: ContextOptions): { context: ScrapeContext; counts: ScrapeCounts } {
  const counts: ScrapeCounts = { seen: 0, ignored: {}, samples: [] };
  const context: ScrapeContext = {
    fetch: options.fetch,
    signal: options.signal,
    allow: options.allow,
    now: options.now ?? (() => new Date()),
    log: options.log ?? (() => {}),
    seen(count = 1) {
      counts.seen += count;
    },
    ignore(reason, place = "") {
      const short = cleanText(reason.slice(0, 200));
      const isKnown = Object.hasOwn(counts.ignored, short) ||
        Object.keys(counts.ignored).length < MAX_REASONS;
      const key = isKnown ? short : "other reasons";
      counts.ignored[key] = (Object.hasOwn(counts.ignored, key) ? counts.ignored[key]! : 0) + 1;
      if (counts.samples.length < MAX_SAMPLES) {
        counts.samples.push({ place: cleanText(place.slice(0, 300)), reason: key });
      }
    },
  };
  return { context, counts };
}
