import type { Config } from "../config.ts";
import type { Db } from "../db/client.ts";
import type { Queue } from "../cron/queue.ts";
import type { Identity } from "../auth/roles.ts";

/** What the process is made of; made once by main.ts, or by a test. */
export interface Deps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  now(): Date;
  /** @throws HubError SERVICE_UNAVAILABLE where vrlsubmit cannot be run. */
  checkSubmitter(): Promise<void>;
}

/** What one request knows. */
export interface Context extends Deps {
  identity: Identity | null;
  requestId: string;
  signal: AbortSignal;
  /** `Idempotency-Key` of the request. */
  idempotencyKey: string | undefined;
  /** Status of a good REST answer; 200 unless a procedure says 201 or 202. tRPC has no use for it. */
  reply: { status: number };
}
