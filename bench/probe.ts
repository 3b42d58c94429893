/**
 * A process of its own: asks a URL at a steady pace, whether or not earlier answers have come, until its stdin ends; then prints
 * the milliseconds of each answer as JSON, counted from when it was due to be asked, so that waits count.
 * usage: probe.ts URL INTERVAL_MS
 */
const [url, interval] = Deno.args;
const everyMs = Number(interval);
const latencies: number[] = [];
const open = new Set<Promise<void>>();
/** How late this process itself was. */
let ownLateMs = 0;
let isOver = false;
Deno.stdin.readable.pipeTo(new WritableStream()).finally(() => isOver = true);

async function ask(dueMs: number): Promise<void> {
  const response = await fetch(url!);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  latencies.push(performance.now() - dueMs);
}

// Connections and code that are not measured.
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
