import { gzipSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import { ResultSpool, spoolKnown } from "../db/ingest/spool.ts";
import { readResults } from "../formats/mod.ts";
import { SLICE_BYTES, sliced } from "../formats/slices.ts";
import type { Context } from "../routers/context.ts";
import { readBody } from "../routers/rest/body.ts";
import { BodyRoom } from "../routers/rest/body_room.ts";
import { Turns, turns } from "../turns.ts";

/** Turns with a fake clock and event loop: `next` runs one turn of it. */
function handTurns() {
  let now = 0;
  const due: (() => void)[] = [];
  const turns = new Turns({ now: () => now, later: (run) => due.push(run) });
  return {
    turns,
    pass: (ms: number) => now += ms,
    get isWaiting() {
      return due.length > 0;
    },
    async next() {
      now += 1;
      for (const run of due.splice(0)) run();
      // The resumed task does all it can without another turn.
      for (let at = 0; at < 2000; at++) await Promise.resolve();
    },
  };
}

test("of eight concurrent tasks one continues in each turn of the event loop, for a slice, in order", async () => {
  const hand = handTurns();
  const done: number[] = [];
  let since: number[] = [];
  const works = Array.from({ length: 8 }, async (_, who) => {
    for (let piece = 0; piece < 12; piece++) {
      await hand.turns.take();
      hand.pass(2);
      since.push(who);
    }
    done.push(who);
  });
  const order: number[] = [];
  while (done.length < 8) {
    since = [];
    await hand.next();
    expect(since.length).toBeGreaterThan(0);
    // 2 ms each: the third ends the slice of 5 ms.
    expect(since.length).toBeLessThanOrEqual(3);
    expect(new Set(since).size).toBe(1);
    order.push(since[0]!);
  }
  await Promise.all(works);
  expect(order.slice(0, 16)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test("short work waits once, and never while no other task waits", async () => {
  const hand = handTurns();
  const first = hand.turns.take();
  expect(first).toBeDefined();
  await hand.next();
  await first;
  expect(hand.turns.take()).toBeUndefined();
  expect(hand.isWaiting).toBe(false);
});

test("a large chunk of a file is passed on in slices, one per turn, and completely", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(1 << 16));
  const input = Array.from({ length: 8 }, (_, at) => bytes.subarray(at, bytes.length - 7 * at));
  let isMine = false;
  const taken = { take: () => void (isMine = true) as undefined };
  const got: Uint8Array[] = [];
  for await (const piece of sliced(ReadableStream.from(input), taken)) {
    expect(isMine).toBe(true);
    isMine = false;
    expect(piece.length).toBeLessThanOrEqual(SLICE_BYTES);
    got.push(piece);
  }
  expect(await new Blob(got as BlobPart[]).bytes()).toEqual(await new Blob(input as BlobPart[]).bytes());
});

/** Returns the maximum work in one turn, and the number of turns, if each piece of work waits for its own turn. */
async function mostInTurn(
  work: (happens: (count: number) => void) => Promise<unknown>,
): Promise<[number, number]> {
  let [now, most, count] = [0, 0, 0];
  const { take } = turns;
  const over = vi.spyOn(turns, "isOver", "get").mockReturnValue(true);
  const taken = vi.spyOn(turns, "take").mockImplementation(async () => {
    await take.call(turns);
    now = 0;
    count++;
  });
  try {
    await work((times) => most = Math.max(most, now += times));
  } finally {
    over.mockRestore();
    taken.mockRestore();
  }
  return [most, count];
}

const line = (at: number) =>
  JSON.stringify({ case: `case ${at}`, outcome: "passed", message: "x".repeat(200) }) + "\n";
const ndjson = new TextEncoder().encode(Array.from({ length: 4000 }, (_, at) => line(at)).join(""));
const junit = new TextEncoder().encode(
  `<testsuite>${
    Array.from({ length: 4000 }, (_, at) =>
      `<testcase name="case ${at}" time="1"><system-out>${"x".repeat(150)}</system-out></testcase>`)
      .join("")
  }</testsuite>`,
);

test.each([
  ["NDJSON", ndjson, 4000],
  ["JUnit", junit, 4000],
  ["gzip of NDJSON", gzipSync(ndjson), 4000],
  [
    "few bytes that stand for many cases",
    new TextEncoder().encode("TAP version 13\nok 1 - a\n1..20000\n"),
    20_000,
  ],
])(
  "of eight files read at once, one continues for a slice in each turn: %s",
  async (_what, bytes, count) => {
    let results = 0;
    const [most, inTurns] = await mostInTurn((happens) =>
      Promise.all(Array.from({ length: 8 }, async () => {
        for await (const { items } of readResults("results", ReadableStream.from([bytes]))) {
          happens(items.length);
          results += items.filter((item) => item.kind === "result").length;
        }
      }))
    );
    expect(results).toBe(8 * count);
    expect(most).toBeLessThanOrEqual(1000);
    expect(inTurns).toBeGreaterThan(8 * 10);
  },
);

test("records of a scrape are spooled one by one, yielding when the slice is over", async () => {
  const records = Array.from(
    { length: 500 },
    (_, at) => ({ case: `case ${at}`, outcome: "passed" as const }),
  );
  let spool: ResultSpool | undefined;
  const [most, inTurns] = await mostInTurn(async (happens) => {
    spool = await spoolKnown(records, { casesVersion: 1, now: () => (happens(1), 0) });
  });
  expect(spool!.count).toBe(500);
  expect([most, inTurns]).toEqual([1, 500]);
});

test("buffered chunks of a body are read one per turn, except the first", async () => {
  const body = ReadableStream.from(Array.from({ length: 500 }, () => new Uint8Array(1000).fill(1)));
  const request = new Request("http://localhost/", { method: "POST", body });
  const hub = { room: new BodyRoom(1 << 20), roomTaken: 0, config: { bodyTimeoutMs: 30_000 } };
  let size = 0;
  const [most, inTurns] = await mostInTurn(async (happens) => {
    for await (const chunk of readBody(request, hub as unknown as Context, { limit: 1 << 20 })) {
      happens(1);
      size += chunk.length;
    }
  });
  expect(size).toBe(500_000);
  expect([most, inTurns]).toEqual([1, 499]);
});

test("a server answers while eight tasks work without pause", async () => {
  const hub = new Turns();
  let isOver = false;
  const works = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      await hub.take();
      const until = performance.now() + 2;
      while (performance.now() < until);
    }
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("here"));
  // With `setImmediate` or messages no answer came within a minute.
  for (let at = 0; at < 20; at++) {
    const answer = await fetch(`http://127.0.0.1:${server.addr.port}/`, {
      signal: AbortSignal.timeout(30_000),
    });
    expect(await answer.text()).toBe("here");
  }
  isOver = true;
  await Promise.all(works);
  await server.shutdown();
});
