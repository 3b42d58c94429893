import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";
import type { Run, RunList } from "../../schemas/run.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { getTestId } from "../tests/tests.ts";

interface RunRow extends Omit<Run, "startedAt" | "finishedAt" | "createdAt" | "expiredAt" | "durationMs"> {
  startedAt: Date | null;
  finishedAt: Date | null;
  createdAt: Date;
  expiredAt: Date | null;
}

function toRun({ startedAt, finishedAt, createdAt, expiredAt, ...row }: RunRow): Run {
  return {
    ...row,
    startedAt: startedAt?.toISOString() ?? null,
    finishedAt: finishedAt?.toISOString() ?? null,
    durationMs: startedAt === null || finishedAt === null ? null : finishedAt.getTime() - startedAt.getTime(),
    createdAt: createdAt.toISOString(),
    expiredAt: expiredAt?.toISOString() ?? null,
  };
}

function columns(sql: Queryable) {
  return sql`
    runs.id, tests.name as test, runs.source, runs.external_id as "externalId", runs.attempt, axes.name as axis,
    runs.changelist, changelists.label, packages.name as package, environments.keys as environment, runs.status, runs.counts,
    runs.samples, runs.started_at as "startedAt", runs.finished_at as "finishedAt", runs.url, runs.serial, runs.version,
    runs.created_at as "createdAt", runs.reason,
    runs.expired_at as "expiredAt", exists (select from run_pins where run_pins.run_id = runs.id) as pinned`;
}

function joins(sql: Queryable) {
  return sql`
    join tests on tests.id = runs.test_id
    join axes on axes.id = runs.axis_id
    join environments on environments.id = runs.environment_id
    left join packages on packages.id = runs.package_id
    left join changelists on changelists.axis_id = runs.axis_id and changelists.number = runs.changelist`;
}

/** Returns the id of an axis; -1, which no row has, if it is unknown. */
export async function axisId(sql: Queryable, name: string): Promise<number> {
  const [row] = await sql<{ id: number }[]>`select id from axes where name = ${name}`;
  return row?.id ?? -1;
}

/** Lists runs: of one test by changelist, highest first; of all tests by arrival, newest first. */
export async function listRuns(sql: Queryable, input: RunList): Promise<Page<Run>> {
  const { from, to, changelist, environment, status, source, cursor, limit } = input;
  const testId = input.test === undefined ? undefined : await getTestId(sql, input.test);
  const after = cursor === undefined ? undefined : decodeCursor(cursor, ["number", "number"]);
  const axis = await axisId(sql, input.axis);
  const where = new Conditions(sql)
    .equal("runs.test_id", testId)
    .given(
      after,
      ([changelist, id]) =>
        testId === undefined
          ? sql`runs.id < ${id}`
          : sql`(runs.changelist, runs.id) < (${changelist}, ${id})`,
    )
    .equal("runs.changelist", changelist)
    .atLeast("runs.changelist", from)
    .atMost("runs.changelist", to)
    .contains("environments.keys", environment)
    .equal("runs.status", status)
    .equal("runs.source", source);
  const rows = await sql<RunRow[]>`
    select ${columns(sql)}
    from runs ${joins(sql)}
    where runs.axis_id = ${axis} and ${where.all}
    order by ${testId === undefined ? sql`runs.id desc` : sql`runs.changelist desc, runs.id desc`}
    limit ${limit + 1}`;
  return toPage(rows, limit, toRun, (row) => [row.changelist, row.id]);
}

/** @throws HubError NOT_FOUND */
export async function getRun(sql: Queryable, id: number): Promise<Run> {
  const [row] = await sql<RunRow[]>`select ${columns(sql)} from runs ${joins(sql)} where runs.id = ${id}`;
  if (row === undefined) throw new HubError("NOT_FOUND", `There is no run ${id}.`);
  return toRun(row);
}
