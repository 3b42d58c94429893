import { afterEach, expect, test } from "vitest";
import { JsonScraper } from "../../../scrapers/json.ts";
import { nextLink } from "../../../scrapers/http/next_link.ts";
import { type Fault, replay, scrapeWith, type World } from "../../helpers/replay.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const MAPPING = {
  runs: "$.builds[*]",
  run: {
    externalId: "$.id",
    changelist: "$.source.cl",
    startedAt: "$.began",
    package: "$.package",
    environment: { os: "$.os" },
  },
  results: "$.tests[*]",
  result: {
    case: ["$.suite", "$.name"],
    outcome: "$.status",
    durationS: "$.time",
    message: "$.log",
    samples: { cycles: "$.values.cycles" },
  },
  outcomes: { "known bad": "xfailed" },
};
const build = (id: number) => ({
  id,
  source: { cl: 1000 + id },
  began: 1_770_000_000 + id,
  package: "p",
  os: "linux",
  updated: `2026-03-0${id}T00:00:00Z`,
  tests: [
    { suite: "s", name: "a", status: "PASS", time: 0.25, values: { cycles: 12 } },
    { suite: "s", name: "b", status: "known bad", log: "no" },
    { suite: "s", name: "c", status: "odd" },
    { suite: "s", status: null },
  ],
});
const ALL = [1, 2, 3, 4, 5].map(build);

async function scrape(
  world: World,
  more: Record<string, unknown>,
  { fault, watermark = null, path = "/api" }: { fault?: Fault; watermark?: string | null; path?: string } =
    {},
) {
  const server = replay(world, fault);
  servers.push(server);
  const placed = JSON.parse(
    JSON.stringify({ ...MAPPING, ...more, url: server.url + path }).replaceAll("SERVER", server.url),
  );
  const found = await scrapeWith(new JsonScraper(), placed, { hosts: [server.host], watermark });
  return { ...found, asked: server.asked };
}

/** Two builds per page; the next page is given in every supported way. */
const pages: Record<string, [World, Record<string, unknown>]> = {
  page: [({ searchParams: q }) => ({ builds: slice(Number(q.get("page")) - 1) }), { page: "page" }],
  offset: [({ searchParams: q }) => ({ builds: slice(Number(q.get("skip") ?? 0) / 2) }), {
    offset: "skip",
    step: 2,
  }],
  cursor: [({ searchParams: q }) => {
    const at = Number(q.get("after") ?? 0);
    return { builds: slice(at), more: at < 2 ? at + 1 : null };
  }, { cursor: "after", path: "$.more" }],
  path: [({ searchParams: q }) => {
    const at = Number(q.get("p") ?? 0);
    return { builds: slice(at), links: at < 2 ? { next: `?p=${at + 1}` } : {} };
  }, { path: "$.links.next" }],
  link: [({ searchParams: q, origin }) => {
    const at = Number(q.get("p") ?? 0);
    const link = at < 2 ? `<${origin}/api?p=0>; rel="prev", <${origin}/api?p=${at + 1}>; rel="next"` : "";
    return Response.json({ builds: slice(at) }, { headers: { link } });
  }, { link: true }],
};
function slice(page: number) {
  return ALL.slice(page * 2, page * 2 + 2);
}

for (const [kind, [world, next]] of Object.entries(pages)) {
  test(`runs and results by a mapping, the next page by ${kind}, through all faults`, async () => {
    const { runs, error, ignored } = await scrape(world, { next });
    expect(error).toBeUndefined();
    expect(runs.map((run) => [run.externalId, run.changelist])).toEqual(
      ALL.map(({ id, source }) => [String(id), source.cl]),
    );
    expect(runs[0]).toEqual({
      externalId: "1",
      attempt: 1,
      axis: "main",
      changelist: 1001,
      package: "p",
      environment: { os: "linux" },
      status: "done",
      startedAt: "2026-02-02T02:40:01.000Z",
      results: [
        {
          case: "s.a",
          outcome: "passed",
          word: "PASS",
          durationMs: 250,
          samples: [{ metric: "cycles", value: 12 }],
        },
        { case: "s.b", outcome: "xfailed", word: "known bad", message: "no" },
        { case: "s.c", outcome: "unresolved", word: "odd" },
      ],
    });
    expect(ignored).toEqual({ "is a result that has no outcome at the path of `outcome`": 5 });
    for (const fault of ["429", "500", "cut", "broken", "slow"] as const) {
      expect((await scrape(world, { next }, { fault })).runs, fault).toEqual(runs);
    }
  });
}

test("consecutive results with the same run id form one run, across pages too", async () => {
  const flat = ALL.flatMap(({ id, source, tests }) =>
    tests.slice(0, 3).map((one) => ({ ...one, id, source }))
  );
  const world = (all: unknown[]): World => ({ searchParams: q }) =>
    all.slice(Number(q.get("o") ?? 0)).slice(0, 4);
  const more = { runs: "$[*]", results: "$", next: { offset: "o", step: 4 }, result: MAPPING.result };
  const { runs, error } = await scrape(world(flat), more);
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.results.length])).toEqual(
    ALL.map(({ id }) => [String(id), 3]),
  );
  const mixed = await scrape(world([flat[0], flat[3], flat[1]]), more);
  expect(String(mixed.error)).toContain("are not consecutive");
});

test("results from their own address, and invalid runs", async () => {
  const world: World = ({ pathname }) =>
    pathname === "/api"
      ? {
        builds: [{ id: "a/1", source: { cl: "7" } }, { id: 2, source: {} }, {}, {
          id: "gone",
          source: { cl: 8 },
        }],
      }
      : pathname === "/results/a%2F1"
      ? { tests: [{ name: "x", status: true }, { name: "y", status: "Fail" }] }
      : undefined;
  const { runs, ignored, error } = await scrape(world, { resultsUrl: "SERVER/results/{externalId}" });
  expect(error).toBeUndefined();
  expect(runs.map(({ externalId, changelist, results }) => [externalId, changelist, results])).toEqual([
    ["a/1", 7, [{ case: "x", outcome: "passed", word: "true" }, {
      case: "y",
      outcome: "failed",
      word: "Fail",
    }]],
  ]);
  expect(ignored).toEqual({
    "has no changelist at the path of `run.changelist`": 1,
    "has no id at the path of `run.externalId`": 1,
    "has no results at its resultsUrl": 1,
  });
});

test("the watermark is the greatest value seen; a time is queried minus the overlap, a number as it is", async () => {
  const world: World = ({ searchParams: q }) => ({
    builds: [...ALL].reverse().filter((one) => one.updated >= (q.get("since") ?? "")),
  });
  const since = { param: "since", path: "$.updated", overlapHours: 24 };
  const first = await scrape(world, { since });
  expect([first.runs.length, first.watermark]).toEqual([5, "2026-03-05T00:00:00Z"]);
  const second = await scrape(world, { since }, { watermark: first.watermark });
  expect(second.asked).toEqual(["/api?since=2026-03-04T00%3A00%3A00.000Z"]);
  expect([second.runs.map((run) => run.externalId), second.watermark]).toEqual([["5", "4"], first.watermark]);
  const byNumber = await scrape(() => ({ builds: [{ ...build(9) }, { ...build(1), id: 10 }] }), {
    since: { param: "after", path: "$.id" },
  }, { watermark: "8" });
  expect([byNumber.asked, byNumber.watermark]).toEqual([["/api?after=8"], "10"]);
});

test("a source that repeats its pages or is not JSON fails; invalid paths, addresses and words are reported by place", async () => {
  const same = await scrape(() => ({ builds: ALL, more: 1 }), { next: { cursor: "c", path: "$.more" } });
  expect(String(same.error)).toContain("repeats its pages");
  const twice = await scrape(() => ({ builds: ALL }), { next: { page: "p" } });
  expect(String(twice.error)).toContain("repeats its pages");
  expect(String((await scrape(() => new Response("<html>"), {})).error)).toContain("not JSON");
  const wrong = await scrape(() => ({}), {
    runs: "$.a[",
    outcomes: { x: "well" },
    result: { case: "$.n" },
    url: "x",
  });
  expect((wrong.error as { issues: { path: string }[] }).issues.map((issue) => issue.path)).toEqual([
    "settings.runs",
    "settings.result.outcome",
    "settings.outcomes.x",
  ]);
  const outside = await scrape(() => ({}), { resultsUrl: "https://elsewhere.example.org/{externalId}" });
  expect(String(outside.error)).toContain("SCRAPE_HOSTS");
});

test("a run that a newer one shifts to the next page is not doubled; the page after the last may be missing", async () => {
  const listed = [[build(3), build(2)], [build(2), build(1)]];
  const world: World = ({ searchParams: q }) => {
    const builds = listed[Number(q.get("page")) - 1];
    return builds === undefined ? undefined : { builds };
  };
  const found = await scrape(world, { next: { page: "page" } });
  expect(found.error).toBeUndefined();
  expect(found.runs.map((run) => [run.externalId, run.results.length])).toEqual([["3", 3], ["2", 3], [
    "1",
    3,
  ]]);
  expect(found.ignored).toMatchObject({
    "is a repeat of an earlier run, as when a new run shifts it to the next page": 1,
  });
});

test("an id that a JSON number cannot represent is refused, and an invalid time is never the watermark", async () => {
  const world: World = () =>
    new Response(
      `{"builds": [{"id": 9007199254740993, "source": {"cl": 1}, "tests": []},` +
        `{"id": 1, "source": {"cl": 1}, "updated": "N/A", "tests": [{"suite": "s", "name": "a", "status": "PASS"}]},` +
        `{"id": 2, "source": {"cl": 1}, "updated": "2026-03-01T00:00:00Z", "tests": []}]}`,
    );
  const found = await scrape(world, { since: { path: "$.updated", param: "since" } });
  expect(found.runs.map((run) => run.externalId)).toEqual(["1", "2"]);
  expect(Object.keys(found.ignored).join()).toContain("above 2^53");
  expect(found.watermark).toBe("2026-03-01T00:00:00Z");
});

test("overlong texts of a source are cut or omitted, and the run is stored", async () => {
  const odd = { ...build(1), os: `${"x".repeat(255)}\u{1F600}`, page: "" };
  const found = await scrape(() => ({ builds: [odd] }), {
    run: { ...MAPPING.run, url: "$.page", environment: { os: "$.os", cpu: "$.tests[0].suite" } },
  });
  expect(found.runs).toHaveLength(1);
  expect(found.runs[0]!.environment.os!.isWellFormed()).toBe(true);
  expect(found.runs[0]).not.toHaveProperty("url");
});

test("when a run's results cannot be read, the runs before it are yielded", async () => {
  const world: World = ({ pathname }) =>
    pathname === "/api"
      ? { builds: ALL }
      : pathname.endsWith("/4")
      ? new Response("", { status: 500 })
      : { tests: build(1).tests };
  const found = await scrape(world, { resultsUrl: "SERVER/results/{externalId}" });
  expect(String(found.error)).toContain("500");
  expect(found.runs.map((run) => run.externalId)).toEqual(["1", "2"]);
  expect(found.watermark).toBe("");
});

test("the next page is found in a Link header as RFC 8288 writes it", () => {
  expect(nextLink('<a?page=1>; rel="prev", <a?page=3>; rel="next"')).toBe("a?page=3");
  expect(nextLink('<a>;rel=prev,<b>; title="x, <y>; rel=next" ; REL = next ; x')).toBe("b");
  expect(nextLink('<a>; rel="last next"; title="')).toBe("a");
  expect(nextLink('<a>; rel="nextly", <b>; anchor=next, <c')).toBeUndefined();
  expect(nextLink(null)).toBeUndefined();
});
