interface Waiting {
  /** By `performance.now()`. */
  until: number;
  late(): void;
}

const TICK_MS = 500;
const waiting = new Set<Waiting>();
let timer: ReturnType<typeof setInterval> | undefined;

/**
 * What `promise` gives, or throws what `late` makes where it takes longer than `limitMs`, to half a second. One timer serves
 * all that wait: a timer for each read costs a good part of a small one.
 */
export function inTime<T>(promise: Promise<T>, limitMs: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const one = { until: performance.now() + limitMs, late: () => reject(late()) };
    waiting.add(one);
    if (timer === undefined) {
      timer = setInterval(look, TICK_MS);
      timer.unref();
    }
    promise.then(resolve, reject).finally(() => waiting.delete(one));
  });
}

function look(): void {
  const now = performance.now();
  for (const one of waiting) {
    if (one.until > now) continue;
    waiting.delete(one);
    one.late();
  }
  if (waiting.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
