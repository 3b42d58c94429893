import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { HubError } from "../../../errors.ts";
import { Gate } from "../../../scrapers/binarydrop/gate.ts";
import { RootDown, rootFetch } from "../../../scrapers/binarydrop/root_fetch.ts";

interface Server {
  /** Of an answer. */
  ms: number;
  /** Connections accepted at once; further ones retry after a second, as TCP does. */
  takes?: number;
}

/** A server with simulated time. */
function world({ ms, takes = Infinity }: Server) {
  const due: { at: number; go(): void }[] = [];
  let time = 0;
  let taken = 0;
  let under = 0;
  const most: number[] = [];
  const one = { refused: 0 };
  const begin = (done: () => void) => {
    if (taken >= takes) {
      one.refused++;
      due.push({ at: time + 1000, go: () => begin(done) });
      return;
    }
    taken++;
    const go = () => {
      taken--;
      done();
    };
    due.push({ at: time + ms, go });
  };
  return Object.assign(one, {
    now: () => time,
    most,
    ask(): Promise<void> {
      most.push(++under);
      const { promise, resolve } = Promise.withResolvers<void>();
      begin(() => {
        under--;
        resolve();
      });
      return promise;
    },
    /** Advances time until no request is running. */
    async run(): Promise<void> {
      while (true) {
        await setImmediate();
        if (due.length === 0) return;
        due.sort((a, b) => a.at - b.at);
        const next = due.shift()!;
        time = next.at;
        next.go();
      }
    },
  });
}

async function msFor(
  server: Server,
  requests: number,
  most = 0,
): Promise<{ ms: number; most: number[]; refused: number }> {
  const one = world(server);
  const gate = new Gate(one.now);
  const options = { signal: undefined, isGood: () => true };
  let left = requests;
  const ask = () => most === 0 ? gate.run(() => one.ask(), options) : one.ask();
  // As many readers as a scan has, or as given.
  const all = Promise.all(Array.from({ length: most || 8 }, async () => {
    while (left-- > 0) await ask();
  }));
  await one.run();
  await all;
  return { ms: one.now(), most: one.most, refused: one.refused };
}

test("the limit adapts to a server with a short accept queue, and reads faster than two connections", async () => {
  // Python's http.server.
  const server = { ms: 20, takes: 5 };
  const [own, two] = [await msFor(server, 1500), await msFor(server, 1500, 2)];
  expect(Math.max(...own.most.slice(-1000))).toBeLessThanOrEqual(5);
  expect(own.refused).toBeLessThan(5);
  expect(own.ms / two.ms).toBeLessThan(0.75);
});

test("a server with enough capacity gets eight concurrent requests", async () => {
  const { ms, most } = await msFor({ ms: 100 }, 800);
  expect(most.at(-50)).toBe(8);
  expect(ms).toBeLessThan(1.2 * 800 * 100 / 8);
});

test("a server that is slow for all requests does not lower the limit", async () => {
  expect((await msFor({ ms: 2000 }, 200)).most.at(-10)).toBe(8);
});

test("a failure halves the limit; an abort ends waiting requests", async () => {
  const gate = new Gate(() => 0);
  await gate.run(() => Promise.resolve(1), { signal: undefined, isGood: () => false });
  expect(gate.limit).toBe(2);
  const stop = new AbortController();
  const hanging = Promise.withResolvers<void>();
  const first = [1, 2].map(() =>
    gate.run(() => hanging.promise, { signal: stop.signal, isGood: () => true })
  );
  const second = gate.run(() => Promise.resolve(), { signal: stop.signal, isGood: () => true });
  stop.abort(new Error("stopped"));
  await expect(second).rejects.toThrow("stopped");
  hanging.resolve();
  await Promise.all(first);
});

const refused = () => Promise.reject(new HubError("BAD_GATEWAY", "the connection is refused"));

test("a root that is down gets only a few requests", async () => {
  const asked: string[] = [];
  const fetch = rootFetch((url) => (asked.push(String(url)), refused()), { probe: "http://drop/" });
  const errors: unknown[] = [];
  for (let at = 0; at < 100; at++) await fetch(`http://drop/p${at}/`).catch((error) => errors.push(error));
  expect(asked).toHaveLength(9);
  expect(asked.at(-1)).toBe("http://drop/");
  expect(errors.slice(0, 7).some((error) => error instanceof RootDown)).toBe(false);
  expect(errors.slice(7).every((error) => error instanceof RootDown)).toBe(true);
  expect(String(errors.at(-1))).toContain("8 consecutive requests failed");
});

test("a hanging server counts as down after a time without a response", async () => {
  let time = 0;
  let asked = 0;
  const fetch = rootFetch(() => {
    asked++;
    time += 120_000;
    return refused();
  }, { probe: "http://drop/", now: () => time });
  for (let at = 0; at < 10; at++) await fetch(`http://drop/p${at}/`).catch(() => {});
  expect(asked).toBe(3);
});

test("broken, missing or too large packages alone do not make a root down", async () => {
  let asked = 0;
  const broken = rootFetch((url) => {
    asked++;
    return Promise.resolve(new Response("", { status: String(url) === "http://drop/" ? 200 : 500 }));
  }, { probe: "http://drop/" });
  for (let at = 0; at < 100; at++) expect((await broken(`http://drop/p${at}/`)).status).toBe(500);
  expect(asked).toBe(100 + 12);
  const gone = rootFetch(() => Promise.resolve(new Response("", { status: 404 })), { probe: "http://none/" });
  for (let at = 0; at < 50; at++) expect((await gone("http://drop/p/")).status).toBe(404);
});
