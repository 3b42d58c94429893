import { expect, test } from "vitest";
import { JsonScraper } from "../../../scrapers/json.ts";
import { replay, scrapeWith, type World } from "../../helpers/replay.ts";

function serverOf(world: World) {
  const server = replay(world);
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}

test("an invalid part of a record is omitted and reported; the rest is stored", async () => {
  const build = (id: number) => ({
    id,
    source: { cl: 1000 + id },
    began: 1_770_000_000 + id,
    os: "linux",
    tests: ["a", "b", "c"].map((name) => ({ suite: "s", name, status: "PASS", time: 0.25, log: "" })),
  });
  const odd = {
    ...build(1),
    began: "0000-01-01T00:00:00Z",
    link: "javascript:alert(1)",
    os: "o".repeat(300),
    tests: [
      { suite: "s", name: "long".repeat(1000), status: "PASS" },
      { suite: "s", name: "nul\0", status: "PASS" },
      { suite: " ", status: "PASS" },
      { suite: "s", name: "message", status: "PASS", log: "m".repeat(9000) },
      { suite: "s", name: "word", status: "w".repeat(100) },
      { suite: "s", name: "negative", status: "PASS", time: -1 },
      { suite: "s", name: "no number", status: "PASS", time: "slow" },
      { suite: "s", name: "no time", status: "PASS", time: "" },
      { suite: "s", name: "sample", status: "PASS", values: { cycles: "c".repeat(400) } },
    ],
  };
  await using server = serverOf(() => ({ builds: [odd, { ...build(2), source: { cl: -2 } }, build(3)] }));
  const { runs, ignored, error } = await scrapeWith(new JsonScraper(), {
    url: `${server.url}/api`,
    runs: "$.builds[*]",
    run: {
      externalId: "$.id",
      changelist: "$.source.cl",
      startedAt: "$.began",
      url: "$.link",
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
  }, { hosts: [server.host] });
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.results.length, run.startedAt, run.url])).toEqual([
    ["1", 8, undefined, undefined],
    ["3", 3, expect.stringContaining("2026"), undefined],
  ]);
  expect(runs[0]!.results.map(({ durationMs, message }) => [durationMs, message?.length])).toEqual(
    runs[0]!.results.map(({ case: name }) => [undefined, name === "s.message" ? 4000 : undefined]),
  );
  expect(ignored).toMatchObject({
    "a result's case has more than 1000 characters, and was cut": 1,
    "a result's case contains a NUL or a lone surrogate, which was replaced": 1,
    "a result is invalid: case: Too small: expected string to have >=1 characters": 1,
    "a result's message has more than 4000 characters, and was cut": 1,
    "a result's word has more than 64 characters, and was cut": 1,
    "a result's durationMs is not a time from 0 to 1e12 ms, and was omitted": 2,
    "a result's samples has texts that were cut or replaced": 1,
    "a run's startedAt is not a time from 1970 to 9999, and was omitted": 1,
    "a run's url is not an http, https or file URL, and was omitted": 1,
    "a run's environment has a value that was cut, or characters in it replaced": 1,
    "has no changelist at the path of `run.changelist`": 1,
  });
});
