import type { Page } from "../../schemas/common.ts";
import type { RunSamples, SampleAt, SampleInRun, SampleList } from "../../schemas/sample.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { axisId, getRun } from "./runs.ts";
import { getTestId } from "../tests/tests.ts";

interface SampleRow extends Omit<SampleInRun, "value"> {
  value: number | null;
  word: string | null;
  caseId: number;
  metricId: number;
}

function toSample<R extends SampleRow>({ caseId: _case, metricId: _metric, word, ...row }: R) {
  return { ...row, value: (row.value ?? word)! };
}

/** Lists a run's samples by case and metric. @throws HubError NOT_FOUND */
export async function listRunSamples(sql: Queryable, input: RunSamples): Promise<Page<SampleInRun>> {
  await getRun(sql, input.id);
  const [afterCase, afterMetric, afterOrdinal] = input.cursor === undefined
    ? [0, 0, 0]
    : decodeCursor(input.cursor, ["number", "number", "number"]);
  const rows = await sql<SampleRow[]>`
    select samples.run_id as "runId", cases.name as case, metrics.name as metric, metrics.unit, samples.ordinal,
      samples.value, samples.word, samples.case_id as "caseId", samples.metric_id as "metricId"
    from samples join cases on cases.id = samples.case_id join metrics on metrics.id = samples.metric_id
    where samples.run_id = ${input.id}
      and (samples.case_id, samples.metric_id, samples.ordinal) > (${afterCase}, ${afterMetric}, ${afterOrdinal})
    order by samples.case_id, samples.metric_id, samples.ordinal
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toSample, (row) => [row.caseId, row.metricId, row.ordinal]);
}

interface SampleAtRow extends SampleRow {
  changelist: number;
  package: string | null;
  environment: Record<string, string>;
}

/** Lists the values of a case's metric, highest changelist first. @throws HubError NOT_FOUND for the test */
export async function listSamples(sql: Queryable, input: SampleList): Promise<Page<SampleAt>> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const after = input.cursor === undefined
    ? undefined
    : decodeCursor(input.cursor, ["number", "number", "number", "number"]);
  const { from, to, changelist, environment, limit } = input;
  const where = new Conditions(sql)
    .given(after, ([number, run, metric, ordinal]) =>
      sql`
        (samples.changelist < ${number} or (samples.changelist = ${number} and (samples.run_id < ${run}
          or (samples.run_id = ${run} and (samples.metric_id, samples.ordinal) > (${metric}, ${ordinal})))))`)
    .equal("samples.changelist", changelist)
    .atLeast("samples.changelist", from)
    .atMost("samples.changelist", to)
    .contains("environments.keys", environment);
  const rows = await sql<SampleAtRow[]>`
    select samples.run_id as "runId", cases.name as case, metrics.name as metric, metrics.unit, samples.ordinal,
      samples.value, samples.word, samples.case_id as "caseId", samples.metric_id as "metricId", samples.changelist,
      packages.name as package, environments.keys as environment
    from cases as asked
      join cases on cases.id = coalesce(asked.alias_of, asked.id)
      join metrics on metrics.name = ${input.metric}
      join samples on samples.case_id = cases.id and samples.metric_id = metrics.id
      join runs on runs.id = samples.run_id
      join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    where asked.test_id = ${testId} and asked.hash = md5(${input.case})::uuid and runs.axis_id = ${axis}
      and ${where.all}
    order by samples.changelist desc, samples.run_id desc, samples.metric_id, samples.ordinal
    limit ${limit + 1}`;
  return toPage(rows, limit, toSample, (row) => [row.changelist, row.runId, row.metricId, row.ordinal]);
}
