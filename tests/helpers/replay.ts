import type { RunRecord } from "../../schemas/record.ts";
import { checkedBatches } from "../../scrapers/core/validate_batches.ts";
import { checkSettings, createRegistry } from "../../scrapers/mod.ts";
import type { Scraper } from "../../scrapers/scraper.ts";
import type { SecretBinding } from "../../scrapers/http/read_policy.ts";
import { allowance, scrapeContext, serve } from "./lab_server.ts";

/** Responses of a server by path and query; undefined is a 404. */
export type World = (url: URL, request: Request) => unknown;

export type Fault = "none" | "429" | "500" | "cut" | "broken" | "slow";

/** A server that answers from a world; the first response to each address has the given fault. */
export function replay(world: World, fault: Fault = "none") {
  const asked: string[] = [];
  const met = new Set<string>();
  const server = serve(async (request, url) => {
    asked.push(url.pathname + url.search);
    const isFirst = !met.has(url.href);
    met.add(url.href);
    const answer = world(url, request);
    if (answer instanceof Response && answer.status !== 200) return answer;
    if (answer === undefined) return new Response("no", { status: 404 });
    const body = answer instanceof Response
      ? new Uint8Array(await answer.arrayBuffer())
      : new TextEncoder().encode(JSON.stringify(answer));
    const headers = answer instanceof Response ? answer.headers : { "content-type": "application/json" };
    if (isFirst && fault === "429") return new Response("", { status: 429, headers: { "retry-after": "1" } });
    if (isFirst && fault === "500") return new Response("broken", { status: 500 });
    if (isFirst && fault === "broken") return new Response(drops(body, 20), { headers });
    if (isFirst && fault === "cut") return new Response(body.slice(0, body.length / 2), { headers });
    if (fault === "slow") return new Response(drops(body), { headers });
    return new Response(body, { headers });
  });
  return { ...server, asked };
}

/** A body in 40 small pieces; the connection breaks after some of them. */
function drops(body: Uint8Array, most = 100): ReadableStream<Uint8Array> {
  const size = Math.max(1, Math.ceil(body.length / 40));
  let at = 0;
  let count = 0;
  return new ReadableStream({
    async pull(controller) {
      await Promise.resolve();
      if (++count > most) return controller.error(new Error("the connection breaks"));
      if (at >= body.length) return controller.close();
      controller.enqueue(body.slice(at, at + size));
      at += size;
    },
  });
}

export interface Scraped {
  /** Path of an address -> the `maxBytes` of its request; undefined for the fetch's default. */
  limits: Map<string, number | undefined>;
  runs: RunRecord[];
  watermark: string | null;
  error: unknown;
  ignored: Record<string, number>;
  samples: { place: string; reason: string }[];
}

/** Runs a scraper with a test's settings, and returns what it yields. */
export async function scrapeWith(
  scraper: unknown,
  settings: Record<string, unknown>,
  { hosts, watermark = null, now, secrets = [], maxBytes = Infinity }: {
    hosts: string[];
    watermark?: string | null;
    now?: Date;
    secrets?: SecretBinding[];
    /** Lowers the `maxBytes` that the scraper requests. */
    maxBytes?: number | undefined;
  },
): Promise<Scraped> {
  const one = scraper as Scraper;
  const allow = allowance({ hosts, secrets });
  const { context, counts } = scrapeContext(allow, { attempts: 3 });
  if (now !== undefined) context.now = () => now;
  const limits = new Map<string, number | undefined>();
  const { fetch } = context;
  context.fetch = (url, init = {}) => {
    limits.set(new URL(url).pathname, init.maxBytes);
    return fetch(
      url,
      init.maxBytes === undefined ? init : { ...init, maxBytes: Math.min(maxBytes, init.maxBytes) },
    );
  };
  const found: Scraped = {
    limits,
    runs: [],
    watermark,
    error: undefined,
    ignored: counts.ignored,
    samples: counts.samples,
  };
  try {
    const checked = await checkSettings(one.tag, settings, allow, createRegistry([one]));
    for await (const batch of checkedBatches(one, { name: "t", settings: checked }, watermark, context)) {
      found.runs.push(...batch.runs);
      found.watermark = batch.watermark;
    }
  } catch (error) {
    found.error = error;
  }
  return found;
}
