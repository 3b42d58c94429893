import type { Config } from "../../config/config.ts";
import type { Db } from "../../db/core/queryable.ts";
import { HubError } from "../../errors.ts";
import type { LabOptions } from "../../run/lab_client.ts";
import type { Queue } from "../queue.ts";

/** What the tasks of jobs need. */
export interface JobDeps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  /** The lab's token, where it has one. */
  labToken: string | undefined;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Called between any two steps; a test ends the process there. */
  step?(name: string): void;
}

/** @throws HubError SERVICE_UNAVAILABLE if no lab is named */
export function labOf({ config, labToken }: JobDeps, signal?: AbortSignal): LabOptions {
  if (config.vrlUrl === undefined) throw new HubError("SERVICE_UNAVAILABLE", "No lab is named; set VRL_URL.");
  return { url: config.vrlUrl, token: labToken, signal };
}
