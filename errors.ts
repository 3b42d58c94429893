/** Error codes shared by HTTP and tRPC, with their HTTP status. app.ts maps them for HTTP, routers/trpc.ts for tRPC. */
export const HTTP_STATUS = {
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_SUPPORTED: 405,
  TIMEOUT: 408,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  MISDIRECTED_REQUEST: 421,
  UNPROCESSABLE_CONTENT: 422,
  TOO_MANY_REQUESTS: 429,
  /** The client closed the connection, so it never sees this status; not an error of the hub. */
  CLIENT_CLOSED_REQUEST: 499,
  INTERNAL_SERVER_ERROR: 500,
  BAD_GATEWAY: 502,
  SERVICE_UNAVAILABLE: 503,
  INSUFFICIENT_STORAGE: 507,
} as const;

export type HubErrorCode = keyof typeof HTTP_STATUS;

/** An error in one input field: `path` is dotted, as in `results.3.case`. */
export interface Issue {
  path: string;
  message: string;
}

export interface HubErrorOptions {
  cause?: unknown;
  issues?: Issue[];
  /** Seconds after which a retry may succeed. */
  retryAfter?: number;
}

/**
 * The error thrown by everything below the routers. The message states what was asked, what is wrong, and the present
 * value.
 */
export class HubError extends Error {
  override name = "HubError";
  readonly issues: Issue[];
  readonly retryAfter: number | undefined;

  constructor(readonly code: HubErrorCode, message: string, options: HubErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.issues = options.issues ?? [];
    this.retryAfter = options.retryAfter;
  }

  get status(): number {
    return HTTP_STATUS[this.code];
  }
}

/** Returns the message of anything thrown, without a stack. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name;
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message : String(error);
}
