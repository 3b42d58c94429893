import type { Config } from "../config/config.ts";
import type { Db } from "../db/core/queryable.ts";
import type { Queue } from "../cron/queue.ts";
import type { Auth } from "../auth/auth.ts";
import type { Client } from "../auth/client.ts";
import { type Identity, mayAct } from "../auth/roles.ts";
import type { Allowance, Throttle } from "../auth/throttle.ts";
import type { Author } from "../db/access/audit.ts";
import type { ReadResult } from "./read_result.ts";
import type { BodyRoom } from "./rest/body_room.ts";
import type { Versions } from "./versions.ts";

/** The parts of the process, created once by main.ts or by a test. */
export interface Deps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  auth: Auth;
  throttle: Throttle;
  now(): Date;
  /** @throws HubError SERVICE_UNAVAILABLE if vrlsubmit cannot be run */
  checkSubmitter(): Promise<void>;
}

/** The state of one request. */
export interface Context extends Deps {
  versions: Versions;
  identity: Identity | null;
  client: Client;
  /** `User-Agent`. */
  agent: string;
  requestId: string;
  signal: AbortSignal;
  /** `Idempotency-Key` of the request. */
  idempotencyKey: string | undefined;
  /** Entity tags of `If-None-Match`. */
  knownTags: readonly string[];
  /** Whether the request calls several procedures, so that no entity tag applies to its response. */
  isBatch: boolean;
  /** The memory that all bodies in flight share, and the bytes of it that this request has taken. */
  room: BodyRoom;
  roomTaken: number;
  /** The caller's remaining allowance; undefined if the request is not counted. */
  allowance: Allowance | undefined;
  reply: Reply;
}

/** Response metadata that a procedure sets. */
export interface Reply {
  /** Status of a successful REST response (default 200). tRPC ignores it. */
  status: number;
  session?: SessionCookie;
  /** The list that a call read, outside of batches: REST and tRPC each write it as they answer. */
  read?: ReadResult<unknown>;
  /** Whether the response already has all its headers. */
  isWhole?: boolean;
}

/** The session cookie to set; an `id` of null deletes it. */
export interface SessionCookie {
  id: string | null;
  maxAgeMs: number;
}

/** Whether the caller may see fields that can contain secrets: job output, scraper settings, queue payloads, error details. */
export function maySeeSecrets(ctx: Context): boolean {
  return mayAct(ctx.identity, "viewer");
}

/** The caller, for the audit log. */
export function authorOf({ identity, client, requestId }: Context): Author {
  return {
    name: identity?.name ?? "unknown",
    via: identity?.via ?? "none",
    address: client.address,
    requestId,
  };
}
