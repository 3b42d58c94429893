import { afterAll, beforeAll, expect, test } from "vitest";
import { Conditions } from "../../../db/core/conditions.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await database.sql`create table things (name text, size int, keys jsonb, ready boolean)`;
  await database.sql`
    insert into things values ('a_1', 1, '{"os": "linux"}', true), ('ab1', 2, '{"os": "linux", "cpu": "x"}', false), ('C', 3, '{}', true)`;
});
afterAll(() => database.drop());

async function names(choose: (where: Conditions) => Conditions): Promise<string[]> {
  const where = choose(new Conditions(database.sql));
  const rows = await database.sql<{ name: string }[]>`
    select name from things where ${where.all} order by size`;
  return rows.map((row) => row.name);
}

test.each<[string, (where: Conditions) => Conditions, string[]]>([
  ["no filter", (where) => where, ["a_1", "ab1", "C"]],
  [
    "filters that are not given",
    (where) => where.equal("name", undefined).below("size", null).contains("keys", undefined),
    ["a_1", "ab1", "C"],
  ],
  ["false", (where) => where.equal("ready", false), ["ab1"]],
  ["zero", (where) => where.atMost("size", 0), []],
  ["a range", (where) => where.atLeast("things.size", 2).atMost("things.size", 3), ["ab1", "C"]],
  ["below", (where) => where.below("size", 2), ["a_1"]],
  ["keys of a jsonb column", (where) => where.contains("keys", { os: "linux" }), ["a_1", "ab1"]],
  ["no keys", (where) => where.contains("keys", {}), ["a_1", "ab1", "C"]],
  ["a text in any case", (where) => where.includes("name", "c"), ["C"]],
  ["a text with a wildcard, taken literally", (where) => where.includes("name", "a_"), ["a_1"]],
  [
    "a condition of its own beside others",
    (where) => where.given(["ab1", "C"], (list) => database.sql`name = any(${list})`).equal("ready", true),
    ["C"],
  ],
])("conditions select by %s", async (_what, choose, expected) => {
  expect(await names(choose)).toEqual(expected);
});

test("conditions can be used several times in a statement", async () => {
  const { sql } = database;
  const where = new Conditions(sql).equal("ready", true).atLeast("size", 2);
  const [row] = await sql`
    select (select count(*)::int from things where ${where.all}) as first,
      (select count(*)::int from things where ${where.all}) as second`;
  expect(row).toEqual({ first: 1, second: 1 });
});
