import { show, withDatabase } from "./database.ts";
import { type BenchHub, startHub } from "./hub.ts";
import { type LiveFile, writeLiveFiles } from "./live_files.ts";
import { output } from "./load.ts";

const MEGABYTES = Number(Deno.env.get("CHUB_BENCH_LIVE_MB") ?? "100");
const EVERY_MS = 5;
const IDLE_S = 10;
const HERE = import.meta.dirname!;

interface Waits {
  latencies: number[];
  ownLateMs: number;
}

/**
 * Measures how long `/api/health/live` takes during uploads and scrapes of large files, compared with the same hub when
 * idle.
 */
export async function run(): Promise<void> {
  await withDatabase(async (bench) => {
    const folder = `${bench.folder}/files/1000`;
    await Deno.mkdir(folder, { recursive: true });
    const files = await writeLiveFiles(folder, MEGABYTES * 1e6);
    const hub = await startHub(bench, { SCRAPE_ROOTS: `${bench.folder}/files` });
    try {
      await measure(hub, { folder: `${bench.folder}/files`, files });
    } finally {
      await hub.stop();
    }
  });
}

async function measure(
  hub: BenchHub,
  { folder, files }: { folder: string; files: LiveFile[] },
): Promise<void> {
  const load = await Deno.readTextFile("/proc/loadavg").catch(() => "not known");
  console.log(
    `load average before ${load.split(" ")[0]}; a request each ${EVERY_MS} ms, counted from when it was due`,
  );
  const idle = await probed(hub, () => new Promise((resolve) => setTimeout(resolve, IDLE_S * 1000)));
  const idleP99 = report("idle", idle);
  const uploaded = await probed(hub, () => upload(hub, "all", files));
  const p99 = report(`${files.length} uploads of ${MEGABYTES} MB at once`, uploaded);
  show(`live during ${files.length} uploads, p99 in ms`, p99, { atMost: 100 });
  show("live during uploads / idle, p99", p99 / idleP99);
  const scraped = report(
    "scrape of the same files",
    await probed(hub, () => scrape(hub, folder, files.length)),
  );
  show("live during a scrape, p99 in ms", scraped, { atMost: 100 });
  for (const file of files) {
    const one = report(`${file.name} alone`, await probed(hub, () => upload(hub, "one", [file])));
    show(`live during ${file.name} alone, p99 in ms`, one, { atMost: 100 });
  }
  const { most } = hub.residentMb();
  console.log(`maximum resident memory of the hub ${most} MB`);
}

/** Prints the latencies. Returns their p99 in ms. */
function report(name: string, { latencies, ownLateMs }: Waits): number {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
  const [p50, p99, most] = [at(0.5), at(0.99), at(1)].map((ms) => ms.toFixed(1));
  console.log(
    `${name}: ${sorted.length} requests, p50 ${p50} ms, p99 ${p99} ms, longest ${most} ms (the probe itself at most ${
      ownLateMs.toFixed(1)
    } ms late)`,
  );
  return at(0.99);
}

/** Probes the hub from a separate process while `act` runs. */
async function probed(hub: BenchHub, act: () => Promise<unknown>): Promise<Waits> {
  const probe = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", `${HERE}/probe.ts`, `${hub.url}/api/health/live`, String(EVERY_MS)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = probe.stdout.pipeThrough(new TextDecoderStream()).getReader();
  if ((await reader.read()).value?.trim() !== "ready") throw new Error("the probe cannot reach the hub");
  await act();
  await probe.stdin.close();
  let text = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
  await probe.status;
  return JSON.parse(text);
}

/** Sends files concurrently from a separate process, at a lower priority than the hub and the probe. */
async function upload(hub: BenchHub, test: string, files: LiveFile[]): Promise<void> {
  const printed = await output("nice", [
    ...["-n", "19", Deno.execPath(), "run", "--allow-net", "--allow-read", `${HERE}/live_push.ts`],
    ...[hub.url, hub.token, test],
    ...files.flatMap(({ type, path }) => [type, path]),
  ]);
  for (const line of printed.trim().split("\n")) {
    const { name, size, accepted, seconds, fault } = JSON.parse(line);
    if (fault !== undefined || accepted === 0) throw new Error(`${name}: ${fault ?? "nothing was stored"}`);
    console.log(
      `  ${name.padEnd(18)} ${(size / 1e6).toFixed(0).padStart(4)} MB sent, ${accepted} results in ${
        seconds.toFixed(1)
      } s`,
    );
  }
}

/** Scrapes a folder of files. */
async function scrape(hub: BenchHub, folder: string, count: number): Promise<void> {
  const settings = { url: `file://${folder}`, pattern: "(?<changelist>\\d+)/" };
  await hub.ask("POST", "tests", { name: "scraped", scraper: "files", settings, intervalMs: 86_400_000 });
  await hub.ask("POST", "tests/scraped/scrape", {});
  while (true) {
    const { lastScrape } = await hub.ask("GET", "tests/scraped");
    if (lastScrape !== null && lastScrape.state !== "running") {
      if (lastScrape.state !== "done") throw new Error(JSON.stringify(lastScrape));
      console.log(
        `  ${lastScrape.resultsWritten} results of ${count} files in ${lastScrape.durationMs / 1000} s`,
      );
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
