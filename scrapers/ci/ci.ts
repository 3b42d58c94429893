import { z } from "zod";
import { axis, MAX_CHANGELIST } from "../../schemas/common.ts";
import {
  environment,
  MAX_EXCERPT,
  type ResultRecord,
  type RunChangelist,
  runChangelist,
  type RunRecord,
} from "../../schemas/record.ts";
import { checkUrl, type ReadPolicy } from "../http/read_policy.ts";
import type { BuildWindow } from "./build_source.ts";
import { isoTime } from "../core/records.ts";
import type { ScrapeContext } from "../core/context.ts";
import { MAX_RESULTS } from "../../formats/artifact.ts";
import { patternSetting } from "../core/pattern_setting.ts";
import { checkSecret } from "../http/secrets.ts";

const DAY_MS = 86_400_000;

export const serverUrl = z.string().max(2000).regex(/^https?:\/\/[^\s?#]+$/, "must be an http or https URL")
  .overwrite((url) => url.replace(/(?<!\/)\/+$/, ""));

export const pattern = patternSetting();

/** Settings common to all scrapers of CI systems. */
export const ciSettings = {
  secret: z.string().min(1).max(64).optional().meta({
    description: "Name of the secret to authenticate with (SCRAPE_SECRETS)",
  }),
  axis: axis.meta({ description: "Axis of the runs" }),
  package: z.string().min(1).max(300).optional().meta({ description: "Package of the runs" }),
  environment: environment.default({}).meta({ description: "Added to each run's environment" }),
  days: z.number().min(1).max(3650).default(30).meta({ description: "Days the first scrape goes back" }),
  overlapHours: z.number().min(1).max(2160).default(48).meta({
    description:
      "Hours before the watermark that each scrape checks again, for builds that appeared late or were rerun",
  }),
};

export interface CiSettings {
  secret?: string | undefined;
  axis: string;
  package?: string | undefined;
  environment: Record<string, string>;
  days: number;
  overlapHours: number;
}

export function checkServer(url: string, secret: string | undefined, allow: ReadPolicy): void {
  checkUrl(allow, url);
  if (secret !== undefined) checkSecret(allow, secret, url);
}

/** The window of builds to read, in milliseconds. */
export function timeWindow({ days, overlapHours }: CiSettings, { now }: ScrapeContext): BuildWindow {
  return {
    first: now().getTime() - days * DAY_MS,
    overlap: overlapHours * 3_600_000,
    patience: 14 * DAY_MS,
    most: now().getTime(),
  };
}

/** A changelist from a number or a commit's hash (as a label); undefined for anything else, such as a negative number. */
export function changelistOf(text: unknown): RunChangelist | undefined {
  if (typeof text !== "string" && typeof text !== "number") return undefined;
  if (typeof text === "number" && !(Number.isSafeInteger(text) && text > 0)) return undefined;
  const word = String(text).trim();
  const number = /^r?(\d{1,10})$/.exec(word)?.[1];
  if (number !== undefined) {
    return Number(number) >= 1 && Number(number) <= MAX_CHANGELIST ? Number(number) : undefined;
  }
  return runChangelist.safeParse(`label:${word}`).data;
}

export interface CiRun {
  externalId: string;
  attempt?: number;
  changelist: RunChangelist;
  committedAt?: string | null | undefined;
  startedAt?: string | null | undefined;
  finishedAt?: string | null | undefined;
  url?: string | undefined;
  environment?: Record<string, string | null | undefined>;
  results: ResultRecord[];
  /** Why the run has no results; makes it a `lab_error`. */
  fault?: string | undefined;
}

/** The run, or the reason why it is ignored. Values that cannot be stored are kept: `fitRuns` repairs and reports them. */
export function makeRun(settings: CiSettings, run: CiRun): RunRecord | string {
  if (run.results.length > MAX_RESULTS) return `has more than ${MAX_RESULTS} results`;
  const own = Object.entries(run.environment ?? {}).flatMap(([key, value]) =>
    (value ?? "").trim() === "" ? [] : [[key, value!] as const]
  );
  const outside = {
    committedAt: isoTime(run.committedAt) ?? run.committedAt,
    startedAt: isoTime(run.startedAt) ?? run.startedAt,
    finishedAt: isoTime(run.finishedAt) ?? run.finishedAt,
    url: run.url,
  };
  return {
    externalId: run.externalId,
    attempt: run.attempt ?? 1,
    axis: settings.axis,
    changelist: run.changelist,
    environment: { ...settings.environment, ...Object.fromEntries(own) },
    status: run.fault === undefined ? "done" : "lab_error",
    ...(settings.package === undefined ? {} : { package: settings.package }),
    ...Object.fromEntries(Object.entries(outside).filter(([, text]) => (text ?? "") !== "")),
    ...(run.fault === undefined ? {} : { reason: run.fault.slice(0, MAX_EXCERPT) }),
    results: run.results,
  };
}
