import { expect, test } from "vitest";
import { job, JUNIT, page, scrape } from "../helpers/vrl_lab.ts";
import { zipOf } from "../helpers/zip.ts";

const CSV = "case,outcome\na,passed\nb,failed\n";
const TAP = "1..2\nok 1 - a\nnot ok 2 - b\n";

test.each([
  ["results.csv", CSV],
  ["result.log", TAP],
  ["result.tap", TAP],
  ["out/results.jsonl", '{"case":"a","outcome":"passed"}\n{"case":"b","outcome":"failed"}\n'],
  ["RESULT.XML", JUNIT.replaceAll("s.", "")],
])("a job that produces %s has its results", async (name, text) => {
  const artifacts = [{ name: "output.txt", size: 5 }, { name, size: text.length }];
  const { runs, error } = await scrape(
    (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1, { artifacts })], "w"),
    { artifact: (_, url) => new Response(url.pathname.endsWith("output.txt") ? "hello" : text) },
  );
  expect(error).toBeUndefined();
  expect(runs).toMatchObject([{ status: "done" }]);
  expect(runs[0]!.results.map((one) => [one.case.replace("s.", ""), one.outcome])).toEqual([
    ["a", "passed"],
    ["b", "failed"],
  ]);
});

test("a log is read only when no result file can be read, and a log of an unknown format is not a fault", async () => {
  const both = [{ name: "result.log", size: 5 }, { name: "result.xml", size: 5 }];
  const read = async (files: Record<string, string>) => {
    const { runs } = await scrape(
      (_, url) => page(url.searchParams.has("updatedAfter") ? [] : [job(1, { artifacts: both })], "w"),
      { artifact: (_, url) => new Response(files[url.pathname.split("/").at(-1)!]) },
    );
    return runs[0]!;
  };
  expect((await read({ "result.log": TAP, "result.xml": JUNIT })).results.map((one) => one.case)).toEqual([
    "s.a",
    "s.b",
  ]);
  expect((await read({ "result.log": TAP, "result.xml": "<testsuite>" })).results).toHaveLength(2);
  expect(await read({ "result.log": "hello", "result.xml": "<testsuite>" })).toMatchObject({
    status: "lab_error",
    reason: expect.stringContaining("result.xml cannot be read: Not a readable JUnit XML file"),
  });
});

test("the readable files of a container are stored, and the unreadable one is reported", async () => {
  const zip = zipOf({ "a.xml": JUNIT, "b.xml": "<testsuite><testcase name='lost'/>" });
  const { runs, counts } = await scrape(
    (_, url) =>
      page(
        url.searchParams.has("updatedAfter") ? [] : [job(1, { artifacts: [{ name: "r.zip", size: 9 }] })],
        "w",
      ),
    { artifact: () => new Response(zip as BodyInit) },
  );
  expect(runs[0]!.results.map((one) => one.case)).toEqual(["s.a", "s.b"]);
  expect(counts.samples).toEqual([{
    place: expect.stringContaining("job 1 r.zip/b.xml: Not a readable"),
    reason: "is a result file that cannot be read",
  }]);
});
