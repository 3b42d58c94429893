import { asObject } from "../../formats/json.ts";
import { fitRecord } from "../../formats/record.ts";
import { cleanText } from "../../formats/text.ts";
import {
  MAX_EXCERPT,
  MAX_ORDINAL,
  type ResultRecord,
  runHead,
  type RunRecord,
  runUrl,
} from "../../schemas/record.ts";
import { turns } from "../../turns.ts";
import type { ScrapeContext } from "./context.ts";

/** Most characters of an environment value. */
const MAX_VALUE = 256;

/**
 * Returns the runs that can be stored under the rules of a push. Invalid parts of a run or result are repaired or omitted, and
 * counted as ignored by run and case, so that one bad record does not stop the others.
 */
export async function fitRuns(runs: readonly RunRecord[], context: ScrapeContext): Promise<RunRecord[]> {
  const fit: RunRecord[] = [];
  for (const run of runs) {
    const one = await fitRun(run, context);
    if (one !== undefined) fit.push(one);
  }
  return fit;
}

async function fitRun(given: RunRecord, context: ScrapeContext): Promise<RunRecord | undefined> {
  const place = `run ${given?.externalId}`;
  if (!Array.isArray(given?.results)) {
    context.ignore("a run has no list of results", place);
    return undefined;
  }
  const head = fitHead(given, (reason) => context.ignore(`a run's ${reason}`, place));
  const parsed = runHead.safeParse(head);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const path = issue.path.join(".").slice(0, 100) || "head";
    context.ignore(`a run has an invalid ${path}: ${issue.message}`, place);
    return undefined;
  }
  const { attempt, axis, changelist, environment, status } = parsed.data;
  const run: RunRecord = { ...head, attempt, axis, changelist, environment, status, results: [] };
  for (const [at, one] of given.results.entries()) {
    if (turns.isOver) await turns.take();
    const name = typeof one?.case === "string" ? one.case.slice(0, 200) : `number ${at + 1}`;
    const fit = fitRecord(one, { leavesOut: true });
    // Array indexes are removed, so that equal reasons are counted together.
    if ("fault" in fit) {
      context.ignore(`a result is invalid: ${fit.fault.replace(/\.\d+/g, "")}`, `${place} case ${name}`);
    } else {
      for (const repair of fit.repairs) context.ignore(`a result's ${repair}`, `${place} case ${name}`);
      run.results.push(fit.record);
    }
  }
  // As with a push, a run without valid results must not replace a stored run.
  const isAllBad = given.results.length > 0 && run.results.length === 0;
  const fault = isAllBad ? "has no valid result" : await ordinalFault(run.results);
  if (fault === undefined) return run;
  context.ignore(`a run ${fault}`, place);
  return undefined;
}

/** Counts a run that has no changelist on its axis. */
export function ignoreUnplaced(context: ScrapeContext, run: RunRecord, reason: string): void {
  context.ignore(`a run has no changelist on its axis: ${reason}`, `${run.externalId} ${run.changelist}`);
}

type Head = Omit<RunRecord, "results">;

/** The head without invalid times and URL. Fields that identify the run or its series are kept unchanged. */
function fitHead({ results: _results, ...given }: RunRecord, repaired: (reason: string) => void): Head {
  const head = given as Head & Record<string, unknown>;
  for (const key of Object.keys(head)) if (head[key] === null) delete head[key];
  for (const key of ["committedAt", "startedAt", "finishedAt"] as const) {
    if (head[key] === undefined) continue;
    const time = isoTime(head[key]);
    if (time === undefined) {
      repaired(`${key} is not a time from 1970 to 9999, and was omitted`);
      delete head[key];
    } else head[key] = time;
  }
  if (head.url !== undefined && !runUrl.safeParse(head.url).success) {
    repaired("url is not an http, https or file URL, and was omitted");
    delete head.url;
  }
  head.environment = fitEnvironment(head.environment, repaired);
  if (typeof head.reason === "string") {
    const reason = cleanText(head.reason.slice(0, MAX_EXCERPT));
    if (reason !== head.reason) repaired("reason was cut, or characters in it replaced");
    head.reason = reason;
  }
  return head;
}

/** The environment with values cut and cleaned to fit; empty values are omitted. */
function fitEnvironment(
  given: RunRecord["environment"],
  repaired: (reason: string) => void,
): RunRecord["environment"] {
  if (asObject(given) === undefined) return given;
  return Object.fromEntries(
    Object.entries(given).flatMap(([key, value]) => {
      if (typeof value !== "string") return [[key, value]];
      const text = value.trim();
      const fit = cleanText(text.replace(/\p{Cc}/gu, " ").slice(0, MAX_VALUE)).trim();
      if (fit !== text) repaired("environment has a value that was cut, or characters in it replaced");
      return fit === "" ? [] : [[key, fit]];
    }),
  );
}

/** Why the results need more ordinals than exist, or undefined. */
async function ordinalFault(results: readonly ResultRecord[]): Promise<string | undefined> {
  const samples = results.reduce((sum, one) => sum + (one.samples?.length ?? 0), 0);
  if (Math.max(results.length, samples) <= MAX_ORDINAL) return undefined;
  const times = new Map<string, number>();
  const isOver = (key: string) => {
    const count = (times.get(key) ?? 0) + 1;
    times.set(key, count);
    return count > MAX_ORDINAL;
  };
  for (const { case: name, samples = [] } of results) {
    if (turns.isOver) await turns.take();
    if (isOver(name)) return `names one case more than ${MAX_ORDINAL} times`;
    for (const { metric, unit = "" } of samples) {
      if (isOver(`${name}\0${metric}\0${unit}`)) {
        return `names one metric of a case more than ${MAX_ORDINAL} times`;
      }
    }
  }
  return undefined;
}

/** A time as UTC ISO 8601, or undefined for anything but a time of the years 1970 to 9999. */
export function isoTime(time: unknown): string | undefined {
  const ms = typeof time === "string" ? Date.parse(time) : NaN;
  return ms >= 0 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined;
}
