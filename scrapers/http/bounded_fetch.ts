import type { SentSecret } from "./secrets.ts";

/** GET within limits of time and size, tried again where that may help. The body of the answer is bounded already. */
export type BoundedFetch = (url: string | URL, init?: FetchInit) => Promise<Response>;

export interface FetchInit {
  signal?: AbortSignal | undefined;
  /** Of the answer's body. */
  maxBytes?: number;
  headers?: Record<string, string>;
  secret?: SentSecret | undefined;
}
