import { reasonOf } from "../errors.ts";
import { type Answer, ask, drop, say, tokenFile, until, url } from "./demo_client.ts";
import { allJobs, checkJobs, checkScan, checkScrape, isBad } from "./demo_checks.ts";
import { makeSampleDrop, SAMPLE_PACKAGES } from "./lab/sample/make.ts";

/**
 * `deno task demo`: shows the whole loop on a running hub (CHUB_URL, token in CHUB_TOKEN_FILE, drop in CHUB_DROP).
 * Every step can be repeated, and leaves existing data unchanged.
 */
const PACKAGE = SAMPLE_PACKAGES[0];
const FROM = 1000;
const TO = 1200;
/** The test runs at every fifth changelist; every changelist has a build of the package. */
const STEP = 5;

async function scanDrop(): Promise<void> {
  say(`Making a drop of runnable builds: ${SAMPLE_PACKAGES.length} packages, changelists ${FROM} to ${TO}`);
  let made = 0;
  for await (const _file of makeSampleDrop(drop, { from: FROM, to: TO, step: STEP, firstStep: 1 })) made++;
  say(`The drop is in ${drop} (${made} builds made; existing builds are kept)`);
  const before = (await ask("GET", "/api/dvs/scans?limit=1")).items[0]?.id ?? 0;
  const scan = await ask("POST", "/api/dvs/scans", {});
  say(scan.enqueued === false ? "A scan of the drop is already queued" : "Requested a scan of the drop");
  await until("the scan", () => ask("GET", `/api/dvs/packages/${PACKAGE}`), {
    isDone: (found) => found?.builds >= TO - FROM + 1,
    show: (found) =>
      found?.builds ? `${PACKAGE}: ${found.builds} builds, ${found.oldest} to ${found.newest}` : "Scanning",
    check: () => checkScan(before),
  });
}

async function runTest(): Promise<void> {
  if (await ask("GET", "/api/tests/calc") === undefined) {
    await ask("POST", "/api/tests", {
      name: "calc",
      scraper: "vrl",
      settings: {},
      submit: { os: "linux", pool: "linux", package: PACKAGE },
      description: "A tiny compiler, arithmetic to WebAssembly, against a suite of programs",
    });
    say("Created the test calc, scraped from the lab");
  } else say("The test calc exists");

  const earlier = await allJobs();
  for (const { id } of earlier.filter(isBad)) {
    await ask("POST", `/api/vrl/jobs/${id}/retry`, {});
  }
  const changelists = Array.from({ length: (TO - FROM) / STEP + 1 }, (_, at) => FROM + at * STEP);
  await ask("POST", "/api/vrl/jobs", { test: "calc", changelists }, { "idempotency-key": "demo-calc" });
  await ask("POST", "/api/vrl/jobs", { test: "calc", changelist: 1100, machine: "lab-lossy" }, {
    "idempotency-key": "demo-calc-lossy",
  });
  const jobs = await allJobs();
  say(
    `Jobs submitted through vrlsubmit: ${
      jobs.length - earlier.length
    } new, ${jobs.length} in all (one to a machine that loses jobs)`,
  );

  const over = await until("the lab", allJobs, {
    isDone: (all: Answer[]) =>
      all.every((job) => (job.state === "done" || job.state === "lost") && !isBad(job)),
    show: (all: Answer[]) => {
      const states = new Map<string, number>();
      for (const job of all) states.set(job.state, (states.get(job.state) ?? 0) + 1);
      return `In the lab: ${[...states].sort().map(([state, count]) => `${count} ${state}`).join(", ")}`;
    },
    check: checkJobs,
  });

  const lastScrape = (await ask("GET", "/api/tests/calc")).lastScrape?.id ?? 0;
  await ask("POST", "/api/tests/calc/scrape", {});
  await until("the scrape", () => ask("GET", "/api/runs?test=calc&limit=1000"), {
    isDone: (runs) => runs.items.length >= over.length,
    show: (runs) => `Scraped ${runs.items.length} runs of ${over.length}`,
    check: () => checkScrape(lastScrape),
  });
}

async function findCulprit(): Promise<void> {
  const { items } = await ask("GET", `/api/results/culprit?test=calc&package=${PACKAGE}&limit=1000`);
  const ranges = Map.groupBy(
    items as Answer[],
    ({ lastGood, firstBad, fixedAt }) => `${lastGood} ${firstBad} ${fixedAt}`,
  );
  const [worst] = [...ranges.values()].sort((a, b) => b.length - a.length);
  if (worst === undefined) {
    throw new Error("the hub found no bad case, although the demo's builds have a miscompile");
  }
  const { lastGood, firstBad, fixedAt, available } = worst[0];
  console.log("");
  say(
    `Miscompile: last good changelist ${lastGood}, first bad ${firstBad}, fixed at ${fixedAt} (${worst.length} cases, such as ${
      worst[0].case
    })`,
  );
  const post = (fields: Record<string, unknown>) =>
    `curl -X POST -H "Authorization: Bearer $(cat '${tokenFile}')" -H 'content-type: application/json' ` +
    `-d '${JSON.stringify({ test: "calc", ...fields })}' ${url}/api/vrl/jobs`;
  if (available.length > 0) {
    say(`Builds in between that still exist: ${available.join(", ")}. To run them:

  ${post({ changelists: available })}

A few seconds later the culprit is the exact changelist.`);
  }
  console.log(`
The hub is serving. To try:

  curl ${url}/api/site-map
  curl '${url}/api/dvs/packages/${PACKAGE}/changelists?from=1080&to=1090'
  curl '${url}/api/results/summary?test=calc'
  curl '${url}/api/results/culprit?test=calc'
  curl '${url}/api/results/compare?test=calc&base=1080&head=1085'
  ${post({ changelist: 1085 })}

Ctrl-C stops it.`);
}

try {
  await scanDrop();
  await runTest();
  await findCulprit();
} catch (error) {
  console.error(`The demo failed: ${reasonOf(error)}`);
  Deno.exit(1);
}
