import { afterAll, beforeAll, expect, test } from "vitest";
import { listChangelists } from "../../../db/drop/build_list.ts";
import { getChangelist } from "../../../db/drop/builds.ts";
import { changelistList } from "../../../schemas/build.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

interface Row {
  root: number;
  changelist: number;
  revision: number;
  file: string;
  gone: boolean;
}

let db: TestDatabase;
const ROOTS = ["file:///drop/one", "https://drop.example/two%20words/", "file:///drop/old"];
/** Of the root that is no longer configured. */
const OLD = 3;
const SPARSE = [...Array(60).keys()].map((at) => rowsOf(at * 3 + 1, at % 3 + 1, 1)).flat();
/** Some changelists have many builds, in one root and in several; the others have one. */
const CROWDED = [...Array(60).keys()].flatMap((at) =>
  at % 7 === 3 ? [1, 2, 3].flatMap((root) => rowsOf(at + 1, root, at % 5)) : rowsOf(at + 1, at % 2 + 1, 1)
);

function rowsOf(changelist: number, root: number, count: number): Row[] {
  return Array.from({ length: count }, (_, at) => ({
    root,
    changelist,
    revision: at % 3,
    file: `f${changelist}_${(at * 7) % 5}_${at}.tgz`,
    gone: (changelist + at + root) % 4 === 0,
  }));
}

beforeAll(async () => {
  db = await testDatabase();
  const { sql } = db;
  for (const [at, url] of ROOTS.entries()) {
    await sql`insert into roots (url, name, configured) values (${url}, ${`root${at + 1}`}, ${
      at + 1 !== OLD
    })`;
  }
  for (const [name, rows] of Object.entries({ sparse: SPARSE, crowded: CROWDED })) {
    await sql`
      with package as (insert into packages (name) values (${name}) returning id)
      insert into builds (root_id, package_id, changelist, revision, file, first_seen, gone_at)
      select given.root, package.id, given.changelist, given.revision, given.file, '2024-01-01 01:02:03.4567Z',
        case when given.gone = 1 then timestamptz '2024-02-01Z' end
      from package, unnest(${rows.map((row) => row.root)}::int[], ${rows.map((row) => row.changelist)}::int[],
        ${rows.map((row) => row.revision)}::int[], ${rows.map((row) => row.file)}::text[],
        ${rows.map((row) => Number(row.gone))}::int[]) as given (root, changelist, revision, file, gone)`;
  }
});
afterAll(() => db.drop());

/** Returns the expected list, computed without the query. */
function expected(rows: Row[], available: boolean | undefined): [number, string, boolean, number][] {
  const isThere = (row: Row) => !row.gone && row.root !== OLD;
  return [...Map.groupBy(rows, (row) => row.changelist)].map(([changelist, all]) => {
    const [best] = all.toSorted((a, b) =>
      Number(isThere(b)) - Number(isThere(a)) || b.revision - a.revision || a.root - b.root ||
      (a.file < b.file ? -1 : 1)
    );
    return [changelist, best!.file, isThere(best!), all.length] as [number, string, boolean, number];
  }).filter((one) => available === undefined || one[2] === available).sort((a, b) => a[0] - b[0]);
}

const ASKED = (["asc", "desc"] as const).flatMap((order) =>
  [undefined, true, false].flatMap((available) =>
    [1, 2, 7, 1000].map((limit) => ({ order, available, limit }))
  )
);

test.each(ASKED)(
  "pages of $limit, $order, available $available: each changelist once, with its best build",
  async (asked) => {
    for (const [name, rows] of Object.entries({ sparse: SPARSE, crowded: CROWDED })) {
      const told: [number, string, boolean, number][] = [];
      let cursor: string | undefined;
      do {
        const input = changelistList.parse({ name, ...asked, cursor });
        const { items, nextCursor } = (await listChangelists(db.sql, input)).value;
        expect(items.length).toBeLessThanOrEqual(asked.limit);
        if (nextCursor !== null) expect(items.length).toBe(asked.limit);
        told.push(
          ...items.map((item) =>
            [item.changelist, item.file, item.available, item.builds] as typeof told[number]
          ),
        );
        cursor = nextCursor ?? undefined;
      } while (cursor !== undefined);
      const all = expected(rows, asked.available);
      expect(told).toEqual(asked.order === "asc" ? all : all.reverse());
    }
  },
);

test("a list item equals the changelist's own answer, whatever its file name", async () => {
  const { sql } = db;
  const names = [
    "plain-1.2_x~.tgz",
    ".",
    "..",
    ".hidden",
    "a b%+c",
    'q"uote\\',
    "(!*')",
    "é€😀.zip",
    "tab\there",
    "a/b?c#d&e",
  ];
  const [row] = await sql<{ id: number }[]>`insert into packages (name) values (${'odd "p" é'}) returning id`;
  await sql`
    insert into builds (root_id, package_id, changelist, file, size, first_seen, last_seen, gone_at)
    select n % 2 + 1, ${
    row!.id
  }, n, file, n * 1000000000000, timestamptz '2024-01-01 00:00Z' + n * interval '1.001 s',
      case when n % 3 = 0 then timestamptz '2024-03-01 00:00:00.9996Z' end, case when n % 3 = 0 then timestamptz '2024-04-01Z' end
    from unnest(${names}::text[]) with ordinality as given (file, n)`;
  await sql`
    insert into package_readings (root_id, package_id, read_at)
    values (1, ${row!.id}, '2024-02-01 00:00:00.1Z'), (2, ${row!.id}, '2023-01-01')`;
  const name = 'odd "p" é';
  const { items } = (await listChangelists(sql, changelistList.parse({ name, order: "asc" }))).value;
  expect(items.map((item) => item.file)).toEqual(names);
  for (const { builds, ...item } of items) {
    expect(builds).toBe(1);
    const [told] = (await getChangelist(sql, { name, changelist: item.changelist })).builds;
    const { lastSeen, ...rest } = item;
    expect(rest).toEqual({ ...told, lastSeen: undefined });
    // The database rounds where JavaScript cuts.
    expect(Math.abs(Date.parse(lastSeen) - Date.parse(told!.lastSeen))).toBeLessThanOrEqual(1);
    expect(item.firstSeen).toMatch(/^2024-01-01T00:00:\d\d\.\d{3}Z$/);
  }
});
