import { reasonOf } from "../errors.ts";
import { makeSampleDrop } from "./lab/sample/make.ts";

/**
 * `deno task demo`: shows the whole loop on a running hub (CHUB_URL, token in CHUB_TOKEN_FILE, drop in CHUB_DROP). Every
 * step may be repeated: what is there stays as it is.
 */
const PACKAGE = "calc_main_Release_Linux_AMD64_compiler";
const FROM = 1000;
const TO = 1200;
const STEP = 5;
const LIMIT_MS = 85_000;

const url = Deno.env.get("CHUB_URL") ?? "http://127.0.0.1:8000";
const token = (await Deno.readTextFile(Deno.env.get("CHUB_TOKEN_FILE") ?? "data/admin.token")).trim();
const drop = Deno.env.get("CHUB_DROP") ?? "data/drop";
const started = performance.now();

function say(text: string): void {
  console.log(`[${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s] ${text}`);
}

// deno-lint-ignore no-explicit-any -- the answers are read as a script would read them
type Answer = any;

async function ask(
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

/** Asks until `isDone`, each half second, within the demo's limit. */
async function until(
  what: string,
  read: () => Promise<Answer>,
  isDone: (answer: Answer) => boolean,
  show: (answer: Answer) => string,
) {
  let shown = "";
  while (true) {
    const answer = await read();
    const text = show(answer);
    if (text !== shown) say(text);
    shown = text;
    if (isDone(answer)) return answer;
    if (performance.now() - started > LIMIT_MS) {
      throw new Error(`${what} took longer than ${LIMIT_MS / 1000} s; the last state was: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function allJobs(): Promise<Answer[]> {
  return (await ask("GET", "/api/vrl/jobs?test=calc&limit=1000")).items;
}

async function demo(): Promise<void> {
  say("Making a drop of runnable builds: 6 packages, changelists 1000 to 1200");
  let made = 0;
  for await (const _file of makeSampleDrop(drop, { from: FROM, to: TO, step: STEP })) made++;
  say(`The drop is in ${drop} (${made} builds made; what was there already stays)`);

  const scan = await ask("POST", "/api/dvs/scans", {});
  say(scan.enqueued === false ? "A scan of the drop is already waiting" : "Asked the hub to scan the drop");
  await until(
    "the scan",
    () => ask("GET", `/api/dvs/packages/${PACKAGE}`),
    (found) => found?.builds >= (TO - FROM) / STEP + 1,
    (found) =>
      found === undefined
        ? "Scanning"
        : `${PACKAGE}: ${found.builds} builds, ${found.oldest} to ${found.newest}`,
  );

  if (await ask("GET", "/api/tests/calc") === undefined) {
    await ask("POST", "/api/tests", {
      name: "calc",
      scraper: "vrl",
      settings: {},
      submit: { os: "linux", pool: "linux", package: PACKAGE },
      description: "A tiny compiler, arithmetic to WebAssembly, against a suite of programs",
    });
    say("Made the test calc, scraped from the lab");
  } else say("The test calc is there");

  const before = (await allJobs()).length;
  for (let changelist = FROM; changelist <= TO; changelist += STEP) {
    await ask("POST", "/api/vrl/jobs", { test: "calc", changelist }, {
      "idempotency-key": `demo-calc-${changelist}`,
    });
  }
  await ask("POST", "/api/vrl/jobs", { test: "calc", changelist: 1100, machine: "lab-lossy" }, {
    "idempotency-key": "demo-calc-lossy",
  });
  const jobs = await allJobs();
  say(
    `Jobs submitted through vrlsubmit: ${
      jobs.length - before
    } new, ${jobs.length} in all (one to a machine that loses jobs)`,
  );

  const isOpen = (job: Answer) => ["queued", "submitting", "submitted", "running"].includes(job.state);
  const over = await until("the lab", allJobs, (all) => !all.some(isOpen), (all: Answer[]) => {
    const states = new Map<string, number>();
    for (const job of all) states.set(job.state, (states.get(job.state) ?? 0) + 1);
    return `In the lab: ${[...states].sort().map(([state, count]) => `${count} ${state}`).join(", ")}`;
  });
  const expected =
    over.filter((job: Answer) => job.state === "done" || job.state === "lost" || job.state === "failed")
      .length;

  await ask("POST", "/api/tests/calc/scrape", {});
  await until(
    "the scrape",
    () => ask("GET", "/api/runs?test=calc&limit=1000"),
    (runs) => runs.items.length >= expected,
    (runs) => `Scraped ${runs.items.length} runs of ${expected}`,
  );

  const { items } = await ask("GET", `/api/results/culprit?test=calc&package=${PACKAGE}&limit=1000`);
  const ranges = new Map<string, Answer[]>();
  for (const item of items) {
    const key = `${item.lastGood} ${item.firstBad} ${item.fixedAt}`;
    ranges.set(key, [...ranges.get(key) ?? [], item]);
  }
  const [worst] = [...ranges.values()].sort((a, b) => b.length - a.length);
  if (worst === undefined) {
    throw new Error("no case is or was bad; the demo's miscompile should have been found");
  }
  const { lastGood, firstBad, fixedAt } = worst[0];
  console.log("");
  say(
    `Miscompile: last good changelist ${lastGood}, first bad ${firstBad}, fixed at ${fixedAt} (${worst.length} cases, as ${
      worst[0].case
    })`,
  );
  console.log(`
The hub is serving. To try:

  curl ${url}/api/site-map
  curl '${url}/api/dvs/packages/${PACKAGE}/changelists?from=1080&to=1090'
  curl '${url}/api/results/summary?test=calc'
  curl '${url}/api/results/culprit?test=calc'
  curl '${url}/api/results/compare?test=calc&base=1080&head=1085'
  curl -X POST -H "Authorization: Bearer $(cat ${
    Deno.env.get("CHUB_TOKEN_FILE") ?? "data/admin.token"
  })" -H 'content-type: application/json' -d '{"test":"calc","changelist":1085}' ${url}/api/vrl/jobs

Ctrl-C stops it.`);
}

try {
  await demo();
} catch (error) {
  console.error(`The demo failed: ${reasonOf(error)}`);
  Deno.exit(1);
}
