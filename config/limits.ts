import { z } from "zod";

/** Limits on what clients send, and how slowly; part of the table in config/config.ts. */
export const LIMIT_SETTINGS = {
  JSON_LIMIT: ["Largest JSON body, in bytes", "1048576"],
  UPLOAD_LIMIT: ["Largest push of results, in bytes as sent", "2147483647"],
  PUSH_JSON_LIMIT: [
    "Largest push of results as one JSON body, in bytes; files and NDJSON are read as they come and may be larger",
    "67108864",
  ],
  BODY_MEMORY: [
    "Bytes that all bodies in flight take in memory together: a JSON body its length, an upload up to 4 MiB; beyond it a request waits 5 s, then gets a 503. At least PUSH_JSON_LIMIT and JSON_LIMIT",
    "134217728",
  ],
  BODY_TIMEOUT: [
    "Seconds that a body may stop for, and that it may take beyond a second for each KiB; then it gets a 408",
    "30",
  ],
  HEADER_TIMEOUT: ["Seconds from a connection's start until its first request's headers are whole", "30"],
  IDLE_TIMEOUT: [
    "Seconds that a connection stays open without a request; more than a proxy keeps its connections",
    "90",
  ],
} as const satisfies Record<string, readonly [string, string]>;

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** The schemas of LIMIT_SETTINGS. */
export const limitEnvironment = {
  JSON_LIMIT: whole(1024, 1 << 30).default(1 << 20),
  UPLOAD_LIMIT: whole(1024, 1_099_511_627_776).default(2_147_483_647),
  PUSH_JSON_LIMIT: whole(1024, 1 << 29).default(64 << 20),
  BODY_MEMORY: whole(1024, 1_099_511_627_776).default(128 << 20),
  BODY_TIMEOUT: whole(1, 3600).default(30),
  HEADER_TIMEOUT: whole(1, 3600).default(30),
  IDLE_TIMEOUT: whole(1, 86_400).default(90),
};

export interface LimitConfig {
  jsonLimit: number;
  uploadLimit: number;
  pushJsonLimit: number;
  bodyMemory: number;
  bodyTimeoutMs: number;
  headerTimeoutMs: number;
  idleTimeoutMs: number;
}

const all = z.object(limitEnvironment);

/** The limits as the hub uses them. */
export function limitConfig(value: z.infer<typeof all>): LimitConfig {
  const pushJsonLimit = Math.min(value.PUSH_JSON_LIMIT, value.UPLOAD_LIMIT);
  return {
    jsonLimit: value.JSON_LIMIT,
    uploadLimit: value.UPLOAD_LIMIT,
    pushJsonLimit,
    // A body that is allowed must fit.
    bodyMemory: Math.max(value.BODY_MEMORY, value.JSON_LIMIT, pushJsonLimit),
    bodyTimeoutMs: value.BODY_TIMEOUT * 1000,
    headerTimeoutMs: value.HEADER_TIMEOUT * 1000,
    idleTimeoutMs: value.IDLE_TIMEOUT * 1000,
  };
}
