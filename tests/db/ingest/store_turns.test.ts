import { afterAll, beforeAll, expect, test } from "vitest";
import { pushRun } from "../../../db/ingest/pushes.ts";
import { spoolOf } from "../../../db/ingest/spool.ts";
import { StoreTurns, storeTurns } from "../../../db/ingest/store_turns.ts";
import { pushHead } from "../../../schemas/result.ts";
import { BY } from "../../helpers/author.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

const passed = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ case: `case ${at}`, outcome: "passed" as const }));
const small = spoolOf(passed(20_000));
const large = spoolOf(passed(20_001));

/** Stores that continue when the test lets them. */
function handStores() {
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  return {
    begun,
    store: (name: string) => () => {
      begun.push(name);
      const end = Promise.withResolvers<void>();
      ends.set(name, end);
      return end.promise;
    },
    end: (name: string) => ends.get(name)!.resolve(),
    fail: (name: string) => ends.get(name)!.reject(new Error(`${name} failed`)),
  };
}

async function settle(): Promise<void> {
  for (let at = 0; at < 50; at++) await Promise.resolve();
}

test("a limited number of large runs are stored at once, in order of arrival, also after a failure; small runs do not wait", async () => {
  const hand = handStores();
  const turns = new StoreTurns(2);
  const running = ["a", "b", "c", "d"].map((name) => turns.run([large], hand.store(name)));
  running.push(turns.run([small], hand.store("small")));
  const failed = expect(running[1]).rejects.toThrow("b failed");
  await settle();
  expect(hand.begun).toEqual(["small", "a", "b"]);
  hand.fail("b");
  await settle();
  expect(hand.begun).toEqual(["small", "a", "b", "c"]);
  hand.end("c");
  await settle();
  expect(hand.begun).toEqual(["small", "a", "b", "c", "d"]);
  for (const name of ["a", "d", "small"]) hand.end(name);
  await failed;
  await Promise.all([running[0], running[2], running[3], running[4]]);
});

test.each([
  ["many runs that are small each", Array.from({ length: 3 }, () => spoolOf(passed(8000)))],
  ["few results with much text", [spoolOf([{ ...passed(1)[0]!, message: "x".repeat(5 << 20) }])]],
  [
    "samples",
    [spoolOf([{
      ...passed(1)[0]!,
      samples: Array.from({ length: 20_001 }, (_, value) => ({ metric: "m", value })),
    }])],
  ],
])("so are %s", async (_what, spools) => {
  const hand = handStores();
  const turns = new StoreTurns(1);
  const first = turns.run([large], hand.store("first"));
  const second = turns.run(spools, hand.store("second"));
  await settle();
  expect(hand.begun).toEqual(["first"]);
  hand.end("first");
  await first;
  await settle();
  hand.end("second");
  await second;
});

test("a large push waits without a connection, and a small one is stored meanwhile", async () => {
  const push = (test: string, count: number) =>
    pushRun(
      database.sql,
      pushHead.parse({ test, changelist: 1 }),
      spoolOf(passed(count)),
      { by: BY, idempotencyKey: undefined },
    );
  const hand = handStores();
  const turns = Array.from(
    { length: navigator.hardwareConcurrency },
    (_, at) => storeTurns.run([large], hand.store(`turn ${at}`)),
  );
  let isStored = false;
  const waiting = push("large", 20_001).finally(() => isStored = true);
  await push("small", 20_000);
  expect(isStored).toBe(false);
  expect([...await database.sql`select name from tests order by name`]).toEqual([{ name: "small" }]);
  await expect.poll(async () => {
    for (const name of hand.begun) hand.end(name);
    await Promise.resolve();
    return isStored;
  }).toBe(true);
  await Promise.all(turns);
  expect((await waiting).counts).toEqual({ passed: 20_001 });
});
