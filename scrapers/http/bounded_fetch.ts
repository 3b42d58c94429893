import type { SentSecret } from "./secrets.ts";

/** GET with limits on time and size, and retries of temporary faults. The response's body is already bounded. */
export type BoundedFetch = (url: string | URL, init?: FetchInit) => Promise<Response>;

export interface FetchInit {
  signal?: AbortSignal | undefined;
  /** Limit of the response's body. */
  maxBytes?: number;
  headers?: Record<string, string>;
  secret?: SentSecret | undefined;
}
