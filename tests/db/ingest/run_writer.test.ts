import { afterAll, beforeAll, expect, test } from "vitest";
import type { Db } from "../../../db/core/queryable.ts";
import { prepareStore, type StoreMode, storeRuns } from "../../../db/ingest/run_writer.ts";
import type { Placed, RunRecord } from "../../../schemas/record.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
let sql: Db;
beforeAll(async () => {
  database = await testDatabase();
  sql = database.sql;
  await sql`insert into tests (name, scraper) values ('t', 'push'), ('u', 'push')`;
});
afterAll(() => database.drop());

function runOf(externalId: string, extra: Partial<Placed<RunRecord>> = {}): Placed<RunRecord> {
  return {
    externalId,
    attempt: 1,
    axis: "main",
    changelist: 10,
    environment: { os: "linux" },
    status: "done",
    results: [{ case: "a", outcome: "passed" }, { case: "b", outcome: "failed", message: "no" }, {
      case: "a",
      outcome: "error",
    }],
    ...extra,
  };
}

async function store(runs: Placed<RunRecord>[], mode: StoreMode = "replace", source = "s") {
  await prepareStore(sql, runs.length);
  return await sql.begin((tx) => storeRuns(tx, { testId: 1, source, runs, mode }));
}

async function rows(id: number) {
  return await sql`
    select cases.name, ordinal, outcomes.name as outcome
    from results join cases on cases.id = case_id join outcomes on outcomes.id = outcome
    where run_id = ${id} order by case_id, ordinal`;
}

test("a case named twice keeps both results, distinguished by their ordinal", async () => {
  const { runs: [run], resultsWritten } = await store([runOf("one")]);
  expect(resultsWritten).toBe(3);
  expect(run).toMatchObject({ isNew: true, counts: { passed: 1, failed: 1, error: 1 } });
  expect([...await rows(run!.id)]).toEqual([
    { name: "a", ordinal: 1, outcome: "passed" },
    { name: "a", ordinal: 2, outcome: "error" },
    { name: "b", ordinal: 1, outcome: "failed" },
  ]);
});

test("a repeated run stays the same; a changed run's results are replaced", async () => {
  const { runs: [first] } = await store([runOf("again")]);
  const before = await rows(first!.id);
  const { runs: [second] } = await store([runOf("again")]);
  expect(second).toMatchObject({ id: first!.id, isNew: false });
  expect([...await rows(first!.id)]).toEqual([...before]);
  await store([runOf("again", { results: [{ case: "c", outcome: "passed" }] })]);
  expect(await rows(first!.id)).toHaveLength(1);
});

test("an identical repeat writes no row; any difference is written", async () => {
  const { runs: [first] } = await store([runOf("same")]);
  const lies = async () => ({
    runs: await sql`select ctid::text, xmin::text, version from runs where id = ${first!.id}`,
    results: await sql`select ctid::text, xmin::text from results where run_id = ${first!.id} order by 1`,
  });
  const before = await lies();
  const again = await store([runOf("same"), runOf("beside it")]);
  expect(again.runs[0]).toEqual({ ...first!, isNew: false });
  expect(again.resultsWritten).toBe(3);
  expect(await lies()).toEqual(before);
  const changed = await store([runOf("same", { environment: { os: "linux", machine: "m" } })]);
  expect(changed.resultsWritten).toBe(3);
  expect((await lies()).runs[0]!.version).toBe(2);
});

test("a run stored twice concurrently is one run, and neither store fails", async () => {
  for (let round = 0; round < 20; round++) {
    const stored = await Promise.all([1, 2, 3, 4].map(() => store([runOf(`race ${round}`)])));
    expect(new Set(stored.map((one) => one.runs[0]!.id)).size).toBe(1);
    expect(stored.filter((one) => one.runs[0]!.isNew)).toHaveLength(1);
    expect(await rows(stored[0]!.runs[0]!.id)).toHaveLength(3);
  }
});

test("append adds an attempt, reject fails; of a run's duplicates in a batch the last counts", async () => {
  await store([runOf("modes")]);
  expect((await store([runOf("modes")], "append")).runs[0]).toMatchObject({ attempt: 2, isNew: true });
  await expect(store([runOf("modes")], "reject")).rejects.toMatchObject({ code: "CONFLICT" });
  const { runs } = await store([runOf("twice", { changelist: 1 }), runOf("twice", { changelist: 2 })]);
  expect(runs).toHaveLength(1);
  expect((await sql`select changelist from runs where external_id = 'twice'`)[0]!.changelist).toBe(2);
});

test("equal environments are one row, whatever the order of their keys", async () => {
  await store([
    runOf("e1", { environment: { os: "x", gpu: "y" } }),
    runOf("e2", { environment: { gpu: "y", os: "x" } }),
  ]);
  const [count] = await sql`select count(*)::int as n from environments where keys @> '{"gpu": "y"}'`;
  expect(count!.n).toBe(1);
});

test("a failed batch writes nothing", async () => {
  const bad = runOf("bad", {
    results: [{ case: "fine", outcome: "passed" }, { case: "no\u0000", outcome: "passed" }],
  });
  await expect(store([runOf("good"), bad])).rejects.toThrow();
  expect(await sql`select id from runs where external_id in ('good', 'bad')`).toHaveLength(0);
});

test("runs beyond the present partitions get new ones, and are found across them", async () => {
  await sql`select setval('runs_id_seq', 39998)`;
  const { runs } = await store(Array.from({ length: 5 }, (_, at) => runOf(`p${at}`)));
  expect(runs.some((run) => run.id < 40_000) && runs.some((run) => run.id >= 40_000)).toBe(true);
  const [count] = await sql`select count(*)::int as n from results where run_id = any(${
    runs.map((run) => run.id)
  }::bigint[])`;
  expect(count!.n).toBe(15);
});

test("a partition that many stores require at once is created once", async () => {
  for (let slot = 100; slot < 120; slot++) {
    await Promise.all(
      Array.from({ length: 8 }, () => sql`select ensure_results_partition(${slot * 20_000})`),
    );
  }
  const [made] = await sql`
    select count(*)::int as n from pg_inherits where inhparent = 'results'::regclass
      and inhrelid::regclass::text ~ '^results_1[01][0-9]$'`;
  expect(made!.n).toBe(20);
});

test("concurrent stores with the same new cases in different orders do not deadlock", async () => {
  const names = Array.from({ length: 200 }, (_, at) => `new ${at}`);
  const runs = Array.from({ length: 8 }, (_, at) =>
    runOf(`c${at}`, {
      environment: { os: `os${at % 2}`, n: String(at % 3) },
      results: (at % 2 === 0 ? names : names.toReversed()).map((name) => ({
        case: name,
        outcome: "passed" as const,
      })),
    }));
  const stored = await Promise.all(runs.map((run) => store([run])));
  expect(stored.every((one) => one.resultsWritten === 200)).toBe(true);
});

test("two tests that read the same source have their own runs", async () => {
  const mine = await store([runOf("shared")], "replace", "json:http://ci.example/builds");
  const theirs = await sql.begin((tx) =>
    storeRuns(tx, {
      testId: 2,
      source: "json:http://ci.example/builds",
      runs: [runOf("shared", { results: [{ case: "a", outcome: "error" }] })],
      mode: "replace",
    })
  );
  expect(theirs.runs[0]).toMatchObject({ isNew: true, attempt: 1 });
  expect(theirs.runs[0]!.id).not.toBe(mine.runs[0]!.id);
  expect(await rows(mine.runs[0]!.id)).toHaveLength(3);
  const again = await store([runOf("shared")], "replace", "json:http://ci.example/builds");
  expect(again).toMatchObject({ resultsWritten: 0, runs: [{ id: mine.runs[0]!.id, isNew: false }] });
  const appended = await store([runOf("shared")], "append", "json:http://ci.example/builds");
  expect(appended.runs[0]!.attempt).toBe(2);
});

test("a run whose source has deleted its results keeps the stored ones", async () => {
  const [first] = (await store([runOf("expired")])).runs;
  const gone = runOf("expired", { status: "lab_error", reason: "left no results", results: [] });
  const again = await store([gone]);
  expect(again.runs[0]).toMatchObject({ id: first!.id, isNew: false });
  expect(await rows(first!.id)).toHaveLength(3);
  expect(await sql`select status from runs where id = ${first!.id}`).toEqual([{ status: "done" }]);
  const [fresh] = (await store([{ ...gone, externalId: "never" }])).runs;
  expect(await sql`select status from runs where id = ${fresh!.id}`).toEqual([{ status: "lab_error" }]);
});

test("a batch of 50,000 results is a few statements, not one a row", async () => {
  const results = Array.from(
    { length: 50_000 },
    (_, at) => ({ case: `many ${at}`, outcome: "passed" as const }),
  );
  let statements = 0;
  await prepareStore(sql, 1);
  await sql.begin(async (tx) => {
    const counted = new Proxy(tx, {
      apply(target, self, args) {
        statements++;
        return Reflect.apply(target as never, self, args);
      },
    });
    await storeRuns(counted, { testId: 1, source: "s", runs: [runOf("many", { results })], mode: "replace" });
  });
  expect(statements).toBeLessThan(12);
});

test("a case's history over a window of changelists reads by index, never whole partitions", async () => {
  await sql`analyze results`;
  const [one] = await sql`select id from cases where name = 'many 7'`;
  const plan = await sql`
    explain select outcome from results
    where case_id = ${one!.id} and changelist between 5 and 15 and run_id between 40000 and 59999`;
  const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
  expect(text).toMatch(/Index/);
  expect(text).not.toMatch(/Seq Scan|results_[013]/);
});
