import { expect, test } from "vitest";
import { VrlScraper } from "../../scrapers/vrl.ts";
import { allowance, scrapeContext } from "../helpers/lab_server.ts";
import { type Answer, job, JUNIT, PACKAGE, page, scrape } from "../helpers/vrl_lab.ts";

test("pages by watermark and makes a run of each finished job", async () => {
  const asked: (string | null)[] = [];
  const { runs, watermark, error, counts, lab } = await scrape((_, url) => {
    const after = url.searchParams.get("updatedAfter");
    asked.push(after);
    expect(url.searchParams.get("test")).toBe("calc");
    if (after === "w0") {
      return page([job(7), job(8, { state: "queued" }), job(9, { state: "cancelled" })], "w1");
    }
    if (after === "w1") {
      return page(
        [job(10, { state: "lost", artifacts: [] }), job(11, { state: "failed", artifacts: [] })],
        "w2",
      );
    }
    return page([], after);
  }, { watermark: "w0" });
  expect(error).toBeUndefined();
  expect(asked).toEqual(["w0", "w1", "w2"]);
  expect(watermark).toBe("w2");
  expect(runs[0]).toMatchObject({
    externalId: "7",
    serial: 7,
    changelist: 1085,
    package: PACKAGE,
    environment: { os: "linux", machine: "m1", pool: "p" },
    status: "done",
    finishedAt: "2024-05-01T00:00:00.000Z",
    url: `${lab.url}/jobs/7`,
    results: [{ case: "s.a", outcome: "passed" }, { case: "s.b", outcome: "failed" }],
  });
  expect(runs.slice(1).map((run) => [run.serial, run.status, run.results.length])).toEqual([
    [10, "lab_error", 0],
    [11, "lab_error", 0],
  ]);
  expect(runs[2]!.reason).toContain("produced no result file");
  expect(counts.seen).toBe(5);
  expect(counts.ignored).toEqual({ "has not finished yet": 1, "was cancelled": 1 });
});

test("a run without results has the lab's own reason", async () => {
  const artifacts = [{ name: "result.xml", size: 3 }];
  const { runs } = await scrape((_, url) =>
    url.searchParams.has("updatedAfter") ? page([], null) : page([
      job(1, { state: "failed", artifacts: [], reason: "no\u0000 machine\nhas linux " }),
      job(2, { state: "lost", artifacts: [], reason: "power cut" }),
      job(3, { state: "failed", reason: "ended at its time limit", artifacts }),
      job(4, { state: "failed", artifacts: [], reason: { not: "words" } }),
      job(5, { state: "failed", artifacts: [], reason: "x".repeat(100_000) }),
    ], "w1"), { artifact: () => new Response("<te") });
  expect(runs.slice(0, 2).map((run) => run.reason)).toEqual([
    "the job failed and produced no result file; the lab: no  machine has linux",
    "the lab lost the job; the lab: power cut",
  ]);
  expect(runs[2]!.reason).toMatch(
    /^the job produced no result file of a known format: .*; the lab: ended at its time limit$/s,
  );
  expect(runs[3]!.reason).toBe("the job failed and produced no result file");
  expect(runs[4]!.reason).toHaveLength(4000);
});

test("bad jobs are ignored with their reason, the others of the page kept", async () => {
  const bad = [
    job(-5),
    job("7"),
    job({ toString: 1, valueOf: 1 }),
    null,
    3,
    job(1, { state: "done\n" }),
    job(2, { packageUrl: "http://drop/none" }),
    job(3, { packageUrl: "http://drop/a%00b/1085" }),
    job(4, { artifacts: "x" }),
  ];
  const { runs, error, counts } = await scrape((_, url) =>
    url.searchParams.has("updatedAfter") ? page([], null) : page([
      ...bad,
      job(6),
      job(5, {
        startedAt: "0000-01-01T00:00:00Z",
        machine: "m\u00001",
      }),
    ], "w")
  );
  expect(error).toBeUndefined();
  expect(runs.map((run) => run.serial)).toEqual([6, 5]);
  expect(runs[1]).toMatchObject({ startedAt: undefined, environment: { machine: "m 1" } });
  expect(Object.values(counts.ignored).reduce((sum, n) => sum + n)).toBe(bad.length);
});

test("a lab that repeats a page fails the scrape: the same cursor, or the same jobs under new cursors", async () => {
  const same = await scrape(() => page([job(1)], "w"));
  expect(same.error).toMatchObject({
    code: "BAD_GATEWAY",
    message: expect.stringContaining("returned the page"),
  });
  let count = 0;
  const renamed = await scrape(() => page([job(1)], `w${++count}`));
  expect(renamed.error).toMatchObject({ code: "BAD_GATEWAY", message: expect.stringContaining("twice") });
  expect(count).toBe(2);
});

test("a last page without a cursor is read once, and the watermark stays usable", async () => {
  const asked: (string | null)[] = [];
  const lab: Answer = (_, url) => {
    asked.push(url.searchParams.get("updatedAfter"));
    return page([job(1)], null);
  };
  const first = await scrape(lab);
  expect([first.runs.length, first.error]).toEqual([1, undefined]);
  await scrape(lab, { watermark: first.watermark });
  expect(asked).toEqual([null, null]);
});

test.each([
  ["500", () => new Response("broken", { status: 500 }), "answered 500"],
  ["HTML", () => new Response("<html>login</html>"), "is not JSON: it begins"],
  ["another shape", () => Response.json([1, 2]), "is not a page of jobs"],
  ["half an answer", () => new Response('{"jobs": ['), "is not JSON"],
  ["2 GB", () => new Response(endless("[")), "sent more than"],
])("a lab that answers /jobs with %s is a clear error", async (_, answer, message) => {
  const { error, runs } = await scrape(answer);
  expect(error).toMatchObject({ code: "BAD_GATEWAY", message: expect.stringContaining(message) });
  expect(runs).toEqual([]);
});

test("a temporary fault ends the scrape before the watermark moves", async () => {
  const jobs: Answer = (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1)], "w");
  const broken = await scrape(jobs, { artifact: () => new Response("", { status: 503 }) });
  expect(broken.error).toMatchObject({
    code: "BAD_GATEWAY",
    message: expect.stringContaining("503 to job 1"),
  });
  expect([broken.runs.length, broken.watermark]).toEqual([0, null]);
  const cut = await scrape(jobs, {
    artifact: () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("<testsuite>"));
          },
          pull(controller) {
            controller.error(new Error("gone"));
          },
        }),
      ),
  });
  expect(cut.error).toMatchObject({ code: "BAD_GATEWAY" });
  expect(cut.watermark).toBeNull();
});

test.each([
  ["gone", () => new Response("", { status: 404 }), "404"],
  ["half a file", () => new Response(JUNIT.slice(0, 40)), "JUnit"],
  ["an entity bomb", () => new Response(`<!DOCTYPE t [<!ENTITY a "x">]>${JUNIT}`), "document type"],
  ["of no known format", () => new Response("hello"), "no result file"],
])("an artifact that is %s leaves a lab_error with the reason", async (_, artifact, reason) => {
  const { runs, error, watermark } = await scrape(
    (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1)], "w"),
    { artifact },
  );
  expect(error).toBeUndefined();
  expect(watermark).toBe("w");
  expect(runs).toMatchObject([{ status: "lab_error", reason: expect.stringContaining(reason), results: [] }]);
});

test("an artifact listed as too large is not fetched; names are never paths", async () => {
  const asked: string[] = [];
  const artifacts = [{ name: "big.xml", size: 2 ** 31 }, { name: "../../secret.xml", size: 10 }];
  const { runs } = await scrape(
    (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1, { artifacts })], "w"),
    { artifact: (_, url) => (asked.push(url.pathname), new Response(JUNIT)) },
  );
  expect(asked).toEqual(["/jobs/1/artifacts/..%2F..%2Fsecret.xml"]);
  expect(runs).toMatchObject([{ status: "done" }]);
});

test("a run with too many results of one case does not stop the others", async () => {
  const many = `<testsuite>${'<testcase name="a"/>'.repeat(32_768)}</testsuite>`;
  const { runs, error, counts } = await scrape(
    (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1), job(2)], "w"),
    { artifact: (_, url) => new Response(url.pathname.startsWith("/jobs/1/") ? many : JUNIT) },
  );
  expect(error).toBeUndefined();
  expect(runs.map((run) => run.serial)).toEqual([2]);
  expect(counts.ignored).toEqual({ "a run names one case more than 32767 times": 1 });
});

test("stops when aborted", async () => {
  let count = 0;
  const { error, runs } = await scrape(() => page([job(++count)], `w${count}`), { stop: 3 });
  expect(error).toMatchObject({ message: "stop" });
  expect(runs.length).toBe(3);
});

test("without a lab the error names the setting", async () => {
  const { context } = scrapeContext(allowance());
  await expect(new VrlScraper().scrape({ name: "t", settings: {} }, null, context).next()).rejects.toThrow(
    "VRL_URL",
  );
});

function endless(text: string): ReadableStream {
  const chunk = new TextEncoder().encode(text.repeat(1 << 18));
  return new ReadableStream({ pull: (controller) => controller.enqueue(chunk) });
}
