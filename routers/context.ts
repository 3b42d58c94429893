import type { Config } from "../config/config.ts";
import type { Db } from "../db/core/queryable.ts";
import type { JsonText } from "../db/core/json_text.ts";
import type { Queue } from "../cron/queue.ts";
import type { Auth } from "../auth/auth.ts";
import type { Client } from "../auth/client.ts";
import { type Identity, mayAct } from "../auth/roles.ts";
import type { Allowance, Throttle } from "../auth/throttle.ts";
import type { Author } from "../db/access/audit.ts";
import type { CachedPage } from "./page_cache.ts";
import type { BodyRoom } from "./rest/body_room.ts";
import type { Versions } from "./versions.ts";

/** What the process is made of; made once by main.ts, or by a test. */
export interface Deps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  auth: Auth;
  throttle: Throttle;
  now(): Date;
  /** @throws HubError SERVICE_UNAVAILABLE where vrlsubmit cannot be run. */
  checkSubmitter(): Promise<void>;
}

/** What one request knows. */
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
  /** Whether several procedures are called, so that no tag is of one of them. */
  isBatch: boolean;
  /** What all bodies in flight share, and what this request's has taken of it. */
  room: BodyRoom;
  roomTaken: number;
  /** What is left to who asks; undefined where it is not counted. */
  allowance: Allowance | undefined;
  reply: Reply;
}

/** What a procedure says of its answer besides the answer. */
export interface Reply {
  /** Of a good REST answer; 200 unless a procedure says 201 or 202. tRPC has no use for it. */
  status: number;
  session?: SessionCookie;
  /** Entity tag, where a procedure knows one; else one is made of the answer. */
  etag?: string;
  /** Whether the answer has all its headers. */
  isWhole?: boolean;
  /** The page that is the whole answer, where one is held. */
  held?: CachedPage;
  /** Answers that are JSON already, of all calls of the request; where tRPC asks for them. */
  texts?: JsonText<unknown>[];
}

/** What the answer does to the session's cookie; an id of null takes it away. */
export interface SessionCookie {
  id: string | null;
  maxAgeMs: number;
}

/** Whether what may hold secrets is shown: job output, scraper settings, queue payloads, error details. */
export function maySee(ctx: Context): boolean {
  return mayAct(ctx.identity, "viewer");
}

/** Who writes, for the audit. */
export function authorOf({ identity, client, requestId }: Context): Author {
  return {
    name: identity?.name ?? "unknown",
    via: identity?.via ?? "none",
    address: client.address,
    requestId,
  };
}
