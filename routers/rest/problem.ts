import type { HubError } from "../../errors.ts";
import { HTTP_STATUS } from "../../errors.ts";

const TITLES: Record<number, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  499: "Client Closed Request",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** RFC 9457 problem details of an error. */
export function problem(error: HubError, requestId: string, headers: Record<string, string> = {}): Response {
  const { status } = error;
  const body = {
    type: `/api/docs#${error.code}`,
    title: TITLES[status] ?? error.code,
    status,
    detail: error.message,
    code: error.code,
    requestId,
    ...(error.issues.length === 0 ? {} : { issues: error.issues }),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      "cache-control": "no-store",
      ...(status === HTTP_STATUS.UNAUTHORIZED ? { "www-authenticate": 'Bearer realm="C Hub"' } : {}),
      ...(error.retryAfter === undefined ? {} : { "retry-after": String(error.retryAfter) }),
      ...headers,
    },
  });
}
