import type { Fragment } from "postgres";
import { OUTCOMES } from "../../schemas/outcome.ts";
import type { ResultInRun, ResultInRunPage, ResultList } from "../../schemas/result.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, encodeCursor } from "../core/cursor.ts";
import { type JsonText, pageText, withoutLast } from "../core/json_text.ts";
import { outcomeIds } from "./results.ts";
import { unknownTest } from "../tests/tests.ts";
import { resultsVersion } from "../core/cache_versions.ts";

/** Number of runs read for one page; a page may have fewer than `limit` results and still have a next page. */
const RUN_WINDOW = 500;

/** Result row of the query: a page and one extra result. */
interface Listed {
  testId: number | null;
  version: string | null;
  /** Items as JSON, one per line. */
  lines: string | null;
  count: number;
  /** Case id of the last item that fits the page. */
  lastCase: number | null;
  /** Changelist and id of the first run not read, if the runs read do not fill the page. */
  next: [number, number] | null;
}

/** Changelist, run, case and ordinal of the last item of the previous page. */
type After = [changelist: number, run: number, caseId: number, ordinal: number];

/**
 * Lists a test's results by changelist, newest first. Runs are read in order, and only as many as the page requires, so a
 * page costs the same at any depth and for runs of any size.
 * @throws HubError NOT_FOUND
 */
export async function listResults(sql: Queryable, input: ResultList): Promise<JsonText<ResultInRunPage>> {
  const { limit, outcome } = input;
  const after = input.cursor === undefined
    ? undefined
    : decodeCursor(input.cursor, ["number", "number", "number", "number"]) as After;
  const ofRun = new Conditions(sql)
    .given(after, ([, run, caseId, ordinal]) =>
      sql`(case_id, ordinal) > (
        case when chosen.id = ${run} then ${caseId}::integer else 0 end,
        case when chosen.id = ${run} then ${ordinal}::integer else 0 end
      )`)
    .given(input.case, (name) =>
      sql`case_id = (
        select coalesce(alias_of, id) from cases
        where test_id = (select test_id from asked) and hash = md5(${name})::uuid
      )`)
    .given(outcome, (names) => sql`outcome = any(${outcomeIds(names)}::smallint[])`);
  // Postgres joins the ordered rows of a limited subquery by a nested loop, and stops once the page is full.
  const [listed] = await sql<[Listed]>`
    with asked as materialized (${askedOf(sql, input)}),
    in_order as materialized (${runsInOrder(sql, input, after)} limit ${RUN_WINDOW + 1})
    select (select test_id from asked) as "testId",
      (${resultsVersion(sql, sql`(select test_id from asked)`)}) as version,
      case when count(*) <= ${limit} then (
        select json_build_array(changelist, id) from in_order offset ${RUN_WINDOW} limit 1
      ) end as next,
      count(*)::int as count, (array_agg(case_id))[${limit}::int] as "lastCase",
      string_agg(
        '{"runId":' || run_id || ',"case":' || to_json(name)::text || ',"ordinal":' || ordinal
          || ',"outcome":"' || outcome_name || '","word":' || coalesce(to_json(word)::text, 'null')
          || ',"durationMs":' || coalesce(duration_ms::text, 'null')
          || ',"message":' || coalesce(to_json(message)::text, 'null') || tail,
        E',\n'
      ) as lines
    from (
      select chosen.changelist, chosen.id as run_id, chosen.tail, found.*,
        (select name from cases where id = found.case_id) as name,
        (${OUTCOMES}::text[])[found.outcome] as outcome_name
      from (
        select id, changelist, expired_at is null and ${
    new Conditions(sql).given(outcome, (names) => sql`counts ?| ${names}::text[]`).all
  } as holds,
          ',"changelist":' || changelist
            || ',"package":' || coalesce((select to_json(name)::text from packages where id = package_id), 'null')
            || ',"environment":' || (select keys::text from environments where id = environment_id) || '}' as tail
        from (select * from in_order limit ${RUN_WINDOW}) as in_order
      ) as chosen
      cross join lateral (
        select case_id, ordinal, outcome, word, duration_ms, message from results
        where run_id = chosen.id and chosen.holds
          and ${ofRun.all}
        order by case_id, ordinal
        limit ${limit + 1}
      ) as found
      limit ${limit + 1}
    ) as result`;
  const { testId, version, lines, count, lastCase, next } = listed;
  if (testId === null) throw await unknownTest(sql, input.test);
  if (lines !== null && lastCase !== null && count > limit) {
    const page = withoutLast(lines);
    const { changelist, runId, ordinal } = JSON.parse(page.slice(page.lastIndexOf("\n") + 1)) as ResultInRun;
    return pageText(page, encodeCursor([changelist, runId, lastCase, ordinal]), version);
  }
  return pageText(lines, next === null ? null : encodeCursor([...next, 0, 0]), version);
}

/** Selects the ids of the test and the axis; null if unknown. */
function askedOf(sql: Queryable, { test, axis }: ResultList): Fragment {
  return sql`
    select (select id from tests where name = ${test} and deleted_at is null) as test_id,
      (select id from axes where name = ${axis}) as axis_id`;
}

/** Selects the matching runs, newest first, from the run in which the previous page ended. */
function runsInOrder(sql: Queryable, input: ResultList, after: After | undefined): Fragment {
  const { changelist, from, to, environment } = input;
  const where = new Conditions(sql)
    .given(after, ([changelist, id]) => sql`(runs.changelist, runs.id) <= (${changelist}, ${id})`)
    .equal("runs.changelist", changelist)
    .atLeast("runs.changelist", from)
    .atMost("runs.changelist", to)
    .given(
      environment,
      (keys) =>
        sql`(select keys from environments where id = runs.environment_id) @> ${
          JSON.stringify(keys)
        }::text::jsonb`,
    );
  return sql`
    select runs.id, runs.changelist, runs.expired_at, runs.counts, runs.package_id, runs.environment_id
    from runs
    where runs.test_id = (select test_id from asked) and runs.axis_id = (select axis_id from asked)
      and ${where.all}
    order by runs.changelist desc, runs.id desc`;
}
