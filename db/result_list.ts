import type { Fragment } from "postgres";
import type { Page } from "../schemas/common.ts";
import { OUTCOMES } from "../schemas/outcome.ts";
import type { ResultInRun, ResultList } from "../schemas/result.ts";
import type { Queryable } from "./client.ts";
import { type Columns, rowsOf } from "./columns.ts";
import { decodeCursor, encodeCursor, toPage } from "./cursor.ts";
import { outcomeIds } from "./results.ts";
import { unknownTest } from "./tests.ts";

/** Runs looked at for one page of results; a page may hold fewer than `limit` and still have a next one. */
const RUN_WINDOW = 500;

interface ListedRow {
  runId: number;
  caseId: number;
  case: string;
  ordinal: number;
  outcome: number;
  word: string | null;
  durationMs: number | null;
  message: string | null;
}

const LISTED = ["runId", "caseId", "case", "ordinal", "outcome", "word", "durationMs", "message"] as const;

interface ListedPage extends Columns<ListedRow> {
  testId: number | null;
  /** Those that the page has results of. */
  runs:
    | { id: number; changelist: number; package: string | null; environment: Record<string, string> }[]
    | null;
}

/** Last changelist, run, case and ordinal of the page before. */
type After = [changelist: number, run: number, caseId: number, ordinal: number];

/**
 * Results of a test by changelist, newest first. Its runs are gone through in order, and no further than the page needs: so
 * a page costs the same however deep it lies and however large the runs are. @throws HubError NOT_FOUND
 */
export async function listResults(sql: Queryable, input: ResultList): Promise<Page<ResultInRun>> {
  const { limit, outcome } = input;
  const after = input.cursor === undefined
    ? undefined
    : decodeCursor(input.cursor, ["number", "number", "number", "number"]) as After;
  // A join over what a limited subquery gives in order is a loop over it, and ends with the page.
  const [page] = await sql<[ListedPage]>`
    with asked as materialized (${askedOf(sql, input)}),
    page as materialized (
      select chosen.changelist, chosen.id as run_id, found.*
      from (
        select id, changelist, expired_at is null and ${
    outcome === undefined ? sql`true` : sql`counts ?| ${outcome}::text[]`
  } as holds
        from (${runsInOrder(sql, input, after)} limit ${RUN_WINDOW}) as in_order
      ) as chosen
      cross join lateral (
        select case_id, ordinal, outcome, word, duration_ms, message from results
        where run_id = chosen.id and chosen.holds
          and ${
    after === undefined ? sql`true` : sql`(case_id, ordinal) > (
            case when chosen.id = ${after[1]} then ${after[2]}::integer else 0 end,
            case when chosen.id = ${after[1]} then ${after[3]}::integer else 0 end
          )`
  }
          and ${
    input.case === undefined ? sql`true` : sql`case_id = (
            select coalesce(alias_of, id) from cases
            where test_id = (select test_id from asked) and hash = md5(${input.case})::uuid
          )`
  }
          and ${outcome === undefined ? sql`true` : sql`outcome = any(${outcomeIds(outcome)}::smallint[])`}
        order by case_id, ordinal
        limit ${limit + 1}
      ) as found
      limit ${limit + 1}
    )
    select (select test_id from asked) as "testId",
      (
        select json_agg(json_build_object(
          'id', runs.id, 'changelist', runs.changelist, 'package', packages.name, 'environment', environments.keys
        ))
        from runs join environments on environments.id = runs.environment_id
          left join packages on packages.id = runs.package_id
        where runs.id = any(array(select distinct run_id from page))
      ) as runs,
      json_agg(run_id) as "runId", json_agg(case_id) as "caseId", json_agg(name) as case, json_agg(ordinal) as ordinal,
      json_agg(outcome) as outcome, json_agg(word) as word, json_agg(duration_ms) as "durationMs",
      json_agg(message) as message
    from (
      select page.*, (select name from cases where id = page.case_id) as name
      from page order by changelist desc, run_id desc, case_id, ordinal
    ) as page`;
  if (page.testId === null) throw await unknownTest(sql, input.test);
  const runs = new Map(page.runs?.map((run) => [run.id, run]));
  const toItem = (row: ListedRow): ResultInRun => {
    const { changelist, package: packageName, environment } = runs.get(row.runId)!;
    return {
      runId: row.runId,
      case: row.case,
      ordinal: row.ordinal,
      outcome: OUTCOMES[row.outcome - 1]!,
      word: row.word,
      durationMs: row.durationMs,
      message: row.message,
      changelist,
      package: packageName,
      environment,
    };
  };
  const listed = toPage(
    rowsOf<ListedRow>(page, LISTED),
    limit,
    toItem,
    (row) => [runs.get(row.runId)!.changelist, row.runId, row.caseId, row.ordinal],
  );
  if (listed.nextCursor !== null) return listed;
  const [next] = await sql<{ id: number; changelist: number }[]>`
    with asked as materialized (${askedOf(sql, input)})
    select id, changelist from (${runsInOrder(sql, input, after)} offset ${RUN_WINDOW} limit 1) as next`;
  return next === undefined
    ? listed
    : { ...listed, nextCursor: encodeCursor([next.changelist, next.id, 0, 0]) };
}

/** Ids of the test and the axis, null where there is none. */
function askedOf(sql: Queryable, { test, axis }: ResultList): Fragment {
  return sql`
    select (select id from tests where name = ${test} and deleted_at is null) as test_id,
      (select id from axes where name = ${axis}) as axis_id`;
}

/** Runs that are asked for, newest first, from the one that the page before ended in. */
function runsInOrder(sql: Queryable, input: ResultList, after: After | undefined): Fragment {
  const { changelist, from, to, environment } = input;
  return sql`
    select runs.id, runs.changelist, runs.expired_at, runs.counts
    from runs
    where runs.test_id = (select test_id from asked) and runs.axis_id = (select axis_id from asked)
      and ${after === undefined ? sql`true` : sql`(runs.changelist, runs.id) <= (${after[0]}, ${after[1]})`}
      and ${changelist === undefined ? sql`true` : sql`runs.changelist = ${changelist}`}
      and ${from === undefined ? sql`true` : sql`runs.changelist >= ${from}`}
      and ${to === undefined ? sql`true` : sql`runs.changelist <= ${to}`}
      and ${
    environment === undefined
      ? sql`true`
      : sql`(select keys from environments where id = runs.environment_id) @> ${
        JSON.stringify(environment)
      }::text::jsonb`
  }
    order by runs.changelist desc, runs.id desc`;
}
