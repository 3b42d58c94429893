/**
 * A separate process that requests a URL at a steady pace, without waiting for earlier answers, until its stdin ends.
 * Then it prints the latencies in ms as JSON, counted from when each request was due, so that delays count.
 *     usage: probe.ts URL INTERVAL_MS
 */
const [url, interval] = Deno.args;
const everyMs = Number(interval);
const latencies: number[] = [];
const open = new Set<Promise<void>>();
/** How late this process itself was, in ms. */
let ownLateMs = 0;
let isOver = false;
Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => isOver = true);

async function ask(dueMs: number): Promise<void> {
  const response = await fetch(url!);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  latencies.push(performance.now() - dueMs);
}

// Warms up connections and code before the measurement.
for (let at = 0; at < 200; at++) await ask(performance.now());
latencies.length = 0;
console.log("ready");
let dueMs = performance.now();
while (!isOver) {
  dueMs += everyMs;
  const waitMs = dueMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  ownLateMs = Math.max(ownLateMs, performance.now() - dueMs);
  const asking: Promise<void> = ask(dueMs).finally(() => open.delete(asking));
  open.add(asking);
}
await Promise.all(open);
console.log(JSON.stringify({ latencies, ownLateMs }));
Deno.exit(0);
