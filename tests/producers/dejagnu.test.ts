import { afterAll, beforeAll, expect } from "vitest";
import { HOME } from "../helpers/app.ts";
import { type Hub, lines, producersHub, type Ran, run, suiteOf } from "../helpers/producers.ts";
import { hasProgram, requires } from "../helpers/require.ts";

const withRuntest = requires("DejaGnu's runtest", hasProgram("runtest"), "apt-get install dejagnu");
const withCurl = requires(
  "DejaGnu's runtest, and curl",
  hasProgram("runtest") && hasProgram("curl"),
  "apt-get install dejagnu curl",
);

/** The words of DejaGnu's summary for the nine results. */
const SUMMARY: Record<string, string> = {
  "expected passes": "passed",
  "unexpected failures": "failed",
  "unexpected successes": "xpassed",
  "unknown successes": "xpassed",
  "expected failures": "xfailed",
  "known failures": "xfailed",
  "unresolved testcases": "unresolved",
  "untested testcases": "untested",
  "unsupported tests": "unsupported",
};
const WORDS: Record<string, string> = {
  PASS: "passed",
  FAIL: "failed",
  XPASS: "xpassed",
  KPASS: "xpassed",
  XFAIL: "xfailed",
  KFAIL: "xfailed",
  UNRESOLVED: "unresolved",
  UNTESTED: "untested",
  UNSUPPORTED: "unsupported",
};

let hub: Hub;
let folder: string;
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("dejagnu");
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

async function runtest(name: string, ...more: string[]): Promise<Ran> {
  await Deno.mkdir(`${folder}/${name}`);
  const args = ["--tool", "demo", "--srcdir", "../testsuite", ...more];
  return run(`${folder}/${name}`, "runtest", args, { DEJAGNU: "/dev/null" });
}

/** Counts of the summary that it prints at the end. */
function summary(out: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [, name, count] of out.slice(out.lastIndexOf("Summary")).matchAll(/^# of (.+?)\t+(\d+)$/gm)) {
    const outcome = SUMMARY[name!]!;
    counts[outcome] = (counts[outcome] ?? 0) + Number(count);
  }
  return counts;
}

/** Its `--xml` output. */
async function reported(path: string): Promise<{ case: string; outcome: string }[]> {
  const text = (xml: string) =>
    xml.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&apos;", "'")
      .replaceAll("&amp;", "&");
  return [...(await Deno.readTextFile(path)).matchAll(/<result>(\w+)<\/result>\s*<name>([^]*?)<\/name>/g)]
    // The bug number is in the message, not in the name.
    .map(([, word, name]) => ({
      case: text(name!).replace(/ \(PRMS:? .*\)$/, "").trim(),
      outcome: WORDS[word!]!,
    }));
}

withRuntest("DejaGnu, .sum and .log: counts equal its summary, names equal its XML", async () => {
  const { out } = await runtest("plain", "--xml");
  const counts = summary(out);
  expect(Object.keys(counts)).toHaveLength(7);
  const sum = await hub.push(`${folder}/plain/demo.sum`);
  const log = await hub.push(`${folder}/plain/demo.log`);
  expect(sum.counts).toEqual(counts);
  expect(log.counts).toEqual(counts);
  expect(lines(log.results)).toEqual(lines(sum.results));
  expect(lines(sum.results)).toEqual(lines(await reported(`${folder}/plain/demo.xml`)));

  const xml = await hub.push(`${folder}/plain/demo.xml`);
  expect(xml.counts).toEqual(counts);
  expect(lines(xml.results)).toEqual(lines(sum.results));

  const message = (read: typeof sum, name: string) =>
    read.results.find((one) => one.case === name)!.message ?? "";
  expect(message(sum, "known to fail")).toContain("demo/123");
  expect(message(sum, "after an error")).toBe("ERROR: a real error");
  expect(message(sum, "after four warnings")).toBe(
    "NOTE: a note\nWARNING: 1\nWARNING: 2\nWARNING: 3\nWARNING: 4",
  );
  expect(message(log, "after what the log says")).toContain("said in the log only");
  for (const read of [sum, log]) {
    expect(read.notes.join("\n")).toContain('invalid command name "this_is_no_command"');
    const [aborted] = read.results.filter((one) => one.case.includes("aborted due to Tcl error"));
    expect(aborted).toMatchObject({
      outcome: "unresolved",
      message: expect.stringContaining("this_is_no_command"),
    });
    expect(read.results.filter((one) => one.case === "same name").map((one) => [one.ordinal, one.outcome]))
      .toEqual([[1, "passed"], [2, "failed"], [3, "passed"]]);
  }
});

withCurl(
  "DejaGnu with two variations of a board, pushed by chub-push: each variation has its own results",
  async () => {
    const { out } = await runtest("two", "--target_board=unix{-m32,-m64}");
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => hub.app.fetch(request, { remote: "127.0.0.1" }),
    );
    const pushed = await run(`${folder}/two`, "sh", [
      `${HOME}/run/chub-push`,
      "-t",
      "two",
      "-c",
      "1",
      "demo.sum",
    ], {
      CHUB_URL: `http://127.0.0.1:${server.addr.port}`,
      CHUB_TOKEN: hub.app.token,
    });
    await server.shutdown();
    expect([pushed.code, pushed.err]).toEqual([0, ""]);
    const answer = JSON.parse(pushed.out);
    expect([answer.counts, answer.rejected]).toEqual([summary(out), []]);
    const { results } = await hub.stored(answer.runId);
    const of = (variation: string) =>
      lines(
        results.flatMap((one) =>
          one.case.endsWith(` [${variation}]`)
            ? [{ ...one, case: one.case.slice(0, -variation.length - 3) }]
            : []
        ),
      );
    const { results: plain } = await hub.push(`${folder}/plain/demo.sum`);
    expect(of("unix/-m32")).toEqual(lines(plain));
    expect(of("unix/-m64")).toEqual(of("unix/-m32"));
    expect(results).toHaveLength(2 * plain.length);
  },
);
