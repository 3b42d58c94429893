import type { Config } from "../../config/config.ts";
import type { Db } from "../../db/core/queryable.ts";
import { HubError } from "../../errors.ts";
import type { LabOptions } from "../../scrapers/http/lab_client.ts";
import type { Queue } from "../queue.ts";

/** Dependencies of the job tasks. */
export interface JobDeps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  /** The lab's token, if it requires one. */
  labToken: string | undefined;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Called between any two steps; a test uses it to end the process there. */
  step?(name: string): void;
}

/** Returns the options of lab requests. @throws HubError SERVICE_UNAVAILABLE if no lab is configured */
export function labOf({ config, labToken }: JobDeps, signal?: AbortSignal): LabOptions {
  if (config.vrlUrl === undefined) {
    throw new HubError("SERVICE_UNAVAILABLE", "No lab is configured; set VRL_URL.");
  }
  return { url: config.vrlUrl, token: labToken, signal };
}
