/** The demo's HTTP client and its output; uses the API as a script would. */
export const url = Deno.env.get("CHUB_URL") ?? "http://127.0.0.1:8000";
export const tokenFile = Deno.env.get("CHUB_TOKEN_FILE") ?? "data/admin.token";
const token = (await Deno.readTextFile(tokenFile)).trim();
export const drop = Deno.env.get("CHUB_DROP") ?? "data/drop";
const started = performance.now();

export function say(text: string): void {
  console.log(`[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
}

/** A step without a change for this long has failed. A job that a stop interrupted is checked within two minutes. */
const STUCK_MS = 150_000;

// deno-lint-ignore no-explicit-any -- answers are untyped, as for a script
export type Answer = any;

export async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok && response.status !== 404) {
    throw new Error(`${method} ${path} answered ${response.status}: ${answer.detail}`);
  }
  return response.status === 404 ? undefined : answer;
}

/**
 * Polls every half second until `isDone`. `check` throws as soon as success is impossible, with the reason; with `isStuck`, it
 * throws the known reason for a state that has not changed for `STUCK_MS`.
 */
export async function until(
  what: string,
  read: () => Promise<Answer>,
  { isDone, show, check }: {
    isDone(answer: Answer): boolean;
    show(answer: Answer): string;
    check(answer: Answer, isStuck: boolean): Promise<void>;
  },
) {
  let shown = "";
  let changedAt = performance.now();
  while (true) {
    const answer = await read();
    const text = show(answer);
    if (text !== shown) {
      say(text);
      changedAt = performance.now();
    }
    shown = text;
    if (isDone(answer)) return answer;
    const isStuck = performance.now() - changedAt > STUCK_MS;
    await check(answer, isStuck);
    if (isStuck) {
      throw new Error(`${what} made no progress for ${STUCK_MS / 1000} s; the last state was: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
