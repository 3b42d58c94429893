interface Waiting {
  /** By `performance.now()`. */
  until: number;
  expire(): void;
}

const TICK_MS = 500;
const waiting = new Set<Waiting>();
let timer: ReturnType<typeof setInterval> | undefined;

/**
 * Resolves or rejects like `promise`, or rejects with `late()` after `limitMs`, to within half a second. All calls share one
 * timer, because a timer per read is a large part of the cost of a small read.
 */
export function withTimeout<T>(promise: Promise<T>, limitMs: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const entry = { until: performance.now() + limitMs, expire: () => reject(late()) };
    waiting.add(entry);
    if (timer === undefined) {
      timer = setInterval(expireLate, TICK_MS);
      timer.unref();
    }
    promise.then(resolve, reject).finally(() => waiting.delete(entry));
  });
}

function expireLate(): void {
  const now = performance.now();
  for (const entry of waiting) {
    if (entry.until > now) continue;
    waiting.delete(entry);
    entry.expire();
  }
  if (waiting.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
