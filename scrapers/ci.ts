import { z } from "zod";
import { HubError } from "../errors.ts";
import { axis, MAX_CHANGELIST } from "../schemas/common.ts";
import {
  environment,
  MAX_EXCERPT,
  type ResultRecord,
  type RunChangelist,
  runChangelist,
  type RunRecord,
} from "../schemas/record.ts";
import { type Allowance, checkUrl } from "./allow.ts";
import type { BuildWindow } from "./builds.ts";
import { isoTime } from "./records.ts";
import type { ScrapeContext } from "./context.ts";
import { shownUrl } from "./fetch.ts";
import { MAX_RESULTS } from "../formats/artifact.ts";
import { parseLenientJson } from "../formats/lenient_json.ts";
import { patternSetting } from "./pattern_setting.ts";
import { checkSecret } from "./secrets.ts";

const DAY_MS = 86_400_000;

export const serverUrl = z.string().max(2000).regex(/^https?:\/\/[^\s?#]+$/, "must be an http or https URL")
  .overwrite((url) => url.replace(/(?<!\/)\/+$/, ""));

export const pattern = patternSetting();

/** Settings that scrapers of CI systems have in common. */
export const ciSettings = {
  secret: z.string().min(1).max(64).optional().meta({
    description: "Name of the secret to sign in with (SCRAPE_SECRETS)",
  }),
  axis: axis.meta({ description: "Axis of the runs" }),
  package: z.string().min(1).max(300).optional().meta({ description: "Package of the runs" }),
  environment: environment.default({}).meta({ description: "Added to each run's environment" }),
  days: z.number().min(1).max(3650).default(30).meta({ description: "Days the first scrape goes back" }),
  overlapHours: z.number().min(1).max(2160).default(48).meta({
    description:
      "Hours behind what was read that builds are looked at again, for those that came late or were run again",
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

export function checkServer(url: string, secret: string | undefined, allow: Allowance): void {
  checkUrl(allow, url);
  if (secret !== undefined) checkSecret(allow, secret, url);
}

/** A window of time. */
export function timeWindow({ days, overlapHours }: CiSettings, { now }: ScrapeContext): BuildWindow {
  return {
    first: now().getTime() - days * DAY_MS,
    overlap: overlapHours * 3_600_000,
    patience: 14 * DAY_MS,
    most: now().getTime(),
  };
}

/** A number, or a commit's hash as a label; undefined where a text is neither. What has a sign or a fraction is no commit. */
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
  /** Why there are no results, where that is the lab's fault. */
  fault?: string | undefined;
}

/** The run, or why there is none. What of it cannot be stored stays, for `fitRuns` to repair and to name. */
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

/** The body as JSON of that shape; undefined for a 404. A body that breaks off is asked for again. */
export async function findJson<T>(
  context: ScrapeContext,
  url: string,
  shape: z.ZodType<T>,
  { maxBytes = 128 << 20, ...init }: Omit<NonNullable<Parameters<ScrapeContext["fetch"]>[1]>, "signal"> = {},
): Promise<{ value: T; headers: Headers; text: string } | undefined> {
  for (let attempt = 1;; attempt++) {
    const response = await context.fetch(url, { ...init, maxBytes, signal: context.signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      return undefined;
    }
    await checkAnswer(response, url);
    try {
      const text = await response.text();
      const value = shape.safeParse(await parseLenientJson(text));
      if (value.success) return { value: value.data, headers: response.headers, text };
      const [issue] = value.error.issues;
      throw new HubError(
        "BAD_GATEWAY",
        `The answer to ${shownUrl(url)} has another shape than expected: ${issue!.path.join(".")}: ${
          issue!.message
        }.`,
      );
    } catch (error) {
      context.signal.throwIfAborted();
      if (error instanceof HubError) throw error;
      // Not quoted: what a server says of a request may repeat its headers.
      if (attempt >= 3) {
        const type = response.headers.get("content-type") ?? "no type";
        throw new HubError(
          "BAD_GATEWAY",
          `The answer to ${shownUrl(url)} broke off or is not JSON (${type}).`,
          {
            cause: error,
          },
        );
      }
    }
  }
}

/** @throws HubError NOT_FOUND besides what `findJson` throws */
export async function getJson<T>(
  ...args: Parameters<typeof findJson<T>>
): Promise<{ value: T; headers: Headers }> {
  const found = await findJson(...args);
  if (found !== undefined) return found;
  throw new HubError("NOT_FOUND", `There is no ${shownUrl(args[1])}, or it is not shown without a secret.`);
}

/** @throws HubError BAD_REQUEST where a secret is wanted, BAD_GATEWAY for any other error */
export async function checkAnswer(response: Response, url: string): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  const isRefused = response.status === 401 || response.status === 403;
  throw new HubError(
    isRefused ? "BAD_REQUEST" : "BAD_GATEWAY",
    `${shownUrl(url)} answered ${response.status}${
      isRefused ? ": the setting `secret` is missing, or may not read that" : ""
    }.`,
  );
}
