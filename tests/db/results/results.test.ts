import { afterAll, beforeAll, expect, test } from "vitest";
import { listResults } from "../../../db/results/result_list.ts";
import { prepareStore, storeRuns } from "../../../db/ingest/run_writer.ts";
import { resultList } from "../../../schemas/result.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
/** Some runs have many matching results, others none. */
const SIZES = [3, 0, 40, 1, 0, 0, 7, 120, 2, 5, 0, 1];
beforeAll(async () => {
  database = await testDatabase();
  await database.sql`insert into tests (name, scraper) values ('t', 'push')`;
  await prepareStore(database.sql, 100);
  const runs = SIZES.map((size, at) => ({
    externalId: String(at),
    attempt: 1,
    axis: "main",
    changelist: 100 + Math.floor(at / 2),
    environment: { machine: `m${at % 3}` },
    status: "done" as const,
    results: Array.from({ length: size }, (_, n) => ({
      case: `c${n % 30}`,
      outcome: n % 4 === 0 ? "failed" as const : n % 7 === 0 ? "skipped" as const : "passed" as const,
    })),
  }));
  await database.sql.begin((tx) => storeRuns(tx, { testId: 1, source: "s", runs, mode: "replace" }));
});
afterAll(() => database.drop());

const FILTERS = [
  {},
  { outcome: "failed" },
  { outcome: "failed,skipped" },
  { outcome: "xpassed" },
  { case: "c3" },
  { case: "c4", outcome: "failed" },
  { case: "nothing" },
  { environment: "machine=m1" },
  { from: 102, to: 104 },
];

test.each(FILTERS.flatMap((filter) => [1, 7, 41, 1000].map((limit) => ({ filter, limit }))))(
  "pages of $limit with $filter contain each result once, in order",
  async ({ filter, limit }) => {
    const input = resultList.parse({ test: "t", limit, ...filter });
    const paged: string[] = [];
    let cursor: string | undefined;
    do {
      const page = (await listResults(database.sql, { ...input, cursor })).value;
      expect(page.items.length).toBeLessThanOrEqual(limit);
      paged.push(
        ...page.items.map((item) => `${item.changelist} ${item.runId} ${item.case} ${item.ordinal}`),
      );
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    const { outcome } = input;
    const rows = await database.sql`
      select runs.changelist || ' ' || runs.id || ' ' || cases.name || ' ' || ordinal as line
      from results join runs on runs.id = run_id join cases on cases.id = case_id
        join outcomes on outcomes.id = outcome join environments on environments.id = environment_id
      where (${outcome ?? null}::text[] is null or outcomes.name = any(${outcome ?? []}::text[]))
        and (${input.case ?? null}::text is null or cases.name = ${input.case ?? null})
        and keys @> ${JSON.stringify(input.environment ?? {})}::text::jsonb
        and runs.changelist between ${input.from ?? 1} and ${input.to ?? 1000}
      order by runs.changelist desc, runs.id desc, cases.id, ordinal`;
    expect(paged).toEqual(rows.map((row) => row.line));
  },
);
