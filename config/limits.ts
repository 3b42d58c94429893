import type { Values } from "./setting.ts";
import { setting, whole } from "./setting.ts";

/** Limits on the size and speed of client requests. */
export const LIMIT_SETTINGS = {
  JSON_LIMIT: setting(whole(1024, 1 << 30).default(1 << 20), "Maximum size of a JSON body, in bytes"),
  UPLOAD_LIMIT: setting(
    whole(1024, 1_099_511_627_776).default(2_147_483_647),
    "Maximum size of a push of results, in bytes as sent",
  ),
  PUSH_JSON_LIMIT: setting(
    whole(1024, 1 << 29).default(64 << 20),
    "Maximum size of a push of results as one JSON body, in bytes; files and NDJSON are read as a stream and may be larger",
  ),
  BODY_MEMORY: setting(
    whole(1024, 1_099_511_627_776).default(128 << 20),
    "Memory for all request bodies in progress, in bytes: a JSON body counts its length, an upload up to 4 MiB. If it is full, a request waits 5 s, then gets a 503. At least PUSH_JSON_LIMIT and JSON_LIMIT",
  ),
  BODY_TIMEOUT: setting(
    whole(1, 3600).default(30),
    "Maximum pause of a body, in seconds, and its maximum duration beyond one second per KiB; then the request gets a 408",
  ),
  HEADER_TIMEOUT: setting(
    whole(1, 3600).default(30),
    "Maximum seconds from the start of a connection until the headers of its first request are complete",
  ),
  IDLE_TIMEOUT: setting(
    whole(1, 86_400).default(90),
    "Seconds that an idle connection stays open; must be more than a proxy's own limit",
  ),
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

/** Converts the limits. */
export function limitConfig(value: Values<typeof LIMIT_SETTINGS>): LimitConfig {
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
