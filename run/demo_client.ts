/** How the demo asks the hub, as a script would, and what it prints. */
export const url = Deno.env.get("CHUB_URL") ?? "http://127.0.0.1:8000";
export const tokenFile = Deno.env.get("CHUB_TOKEN_FILE") ?? "data/admin.token";
const token = (await Deno.readTextFile(tokenFile)).trim();
export const drop = Deno.env.get("CHUB_DROP") ?? "data/drop";
const started = performance.now();

export function say(text: string): void {
  console.log(`[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
}

/** A step whose state does not change for so long has failed; a job that a stop interrupted is looked up within two minutes. */
const STUCK_MS = 150_000;

// deno-lint-ignore no-explicit-any -- the answers are read as a script would read them
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
 * Asks until `isDone`, each half second. `check` throws as soon as an answer shows that it never will be, or if that has not
 * changed for long, what is known of why.
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
      throw new Error(`${what} did not go on for ${STUCK_MS / 1000} s; the last state was: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
