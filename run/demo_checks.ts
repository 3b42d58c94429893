import { type Answer, ask } from "./demo_client.ts";

/** @throws Error with the scan's error, if the newest scan since `before` failed */
export async function checkScan(before: number): Promise<void> {
  const { items: [scan] } = await ask("GET", "/api/dvs/scans?limit=1");
  if (scan === undefined || scan.id <= before || !["failed", "lost"].includes(scan.state)) return;
  throw new Error(`the scan of the drop ${scan.state}: ${scan.error ?? "no reason was given"}`);
}

/** @throws Error with the reason of a job that can no longer succeed; the machine lab-lossy loses jobs by design */
export async function checkJobs(jobs: Answer[], isStuck: boolean): Promise<void> {
  const job = jobs.find(isBad) ?? (isStuck ? jobs.find(isOpen) : undefined);
  if (job === undefined) return;
  const { events, stderr, reason: why } = await ask("GET", `/api/vrl/jobs/${job.id}`);
  const reason = [...new Set([why, events.at(-1)?.cause, stderr?.trim()].filter(Boolean))].join("; ");
  throw new Error(
    `job ${job.id} (changelist ${job.changelist}) is ${job.state}: ${reason || "the reason is unknown"}`,
  );
}

/** @throws Error with the scrape's error, if the newest scrape since `before` failed */
export async function checkScrape(before: number): Promise<void> {
  const { lastScrape } = await ask("GET", "/api/tests/calc");
  if (!(lastScrape?.id > before) || !["failed", "lost"].includes(lastScrape.state)) return;
  throw new Error(`the scrape of calc ${lastScrape.state}: ${lastScrape.error ?? "no reason was given"}`);
}

/** Jobs of the demo's test; a retried job is replaced by its retry. */
export async function allJobs(): Promise<Answer[]> {
  const { items } = await ask("GET", "/api/vrl/jobs?test=calc&limit=1000");
  const retried = new Set(items.map((job: Answer) => job.retryOf));
  return items.filter((job: Answer) => !retried.has(job.id));
}

/** Whether a job ended without results; the machine lab-lossy loses jobs by design. */
export function isBad({ state, machine }: Answer): boolean {
  return state === "failed" || state === "cancelled" || state === "lost" && machine !== "lab-lossy";
}

function isOpen({ state }: Answer): boolean {
  return ["queued", "submitting", "submitted", "running", "unknown"].includes(state);
}
