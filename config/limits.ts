import { z } from "zod";

/** Limits on the size and speed of client requests; part of the table in config/config.ts. */
export const LIMIT_SETTINGS = {
  JSON_LIMIT: ["Maximum size of a JSON body, in bytes", "1048576"],
  UPLOAD_LIMIT: ["Maximum size of a push of results, in bytes as sent", "2147483647"],
  PUSH_JSON_LIMIT: [
    "Maximum size of a push of results as one JSON body, in bytes; files and NDJSON are read as a stream and may be larger",
    "67108864",
  ],
  BODY_MEMORY: [
    "Memory for all request bodies in progress, in bytes: a JSON body counts its length, an upload up to 4 MiB. If it is full, a request waits 5 s, then gets a 503. At least PUSH_JSON_LIMIT and JSON_LIMIT",
    "134217728",
  ],
  BODY_TIMEOUT: [
    "Maximum pause of a body, in seconds, and its maximum duration beyond one second per KiB; then the request gets a 408",
    "30",
  ],
  HEADER_TIMEOUT: [
    "Maximum seconds from the start of a connection until the headers of its first request are complete",
    "30",
  ],
  IDLE_TIMEOUT: [
    "Seconds that an idle connection stays open; must be more than a proxy's own limit",
    "90",
  ],
} as const satisfies Record<string, readonly [string, string]>;

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** Schemas of LIMIT_SETTINGS. */
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

/** Converts the limits. */
export function limitConfig(value: z.infer<typeof all>): LimitConfig {
  const pushJsonLimit = Math.min(value.PUSH_JSON_LIMIT, value.UPLOAD_LIMIT);
  return {
    jsonLimit: value.JSON_LIMIT,
    uploadLimit: value.UPLOAD_LIMIT,
    pushJsonLimit,
    // The largest permitted body must fit.
    bodyMemory: Math.max(value.BODY_MEMORY, value.JSON_LIMIT, pushJsonLimit),
    bodyTimeoutMs: value.BODY_TIMEOUT * 1000,
    headerTimeoutMs: value.HEADER_TIMEOUT * 1000,
    idleTimeoutMs: value.IDLE_TIMEOUT * 1000,
  };
}
