import { afterAll, beforeAll, expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";
import { until } from "../helpers/lab.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { type StartWorld, startWorld } from "../helpers/start_bench.ts";

const withCurl = requires("curl", hasProgram("curl"), "apt-get install curl") as typeof test;

let world: StartWorld;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => {
  await world.clear();
  await world.remove();
});

/** The commands of docs/first-hour.md, in order; the first starts the demo. */
async function commands(): Promise<string[]> {
  const text = await Deno.readTextFile(`${HOME}/docs/first-hour.md`);
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block!);
}

/** As the page has it, but for the hub's address and data folder, and so that a refused request ends it. */
function placed(block: string): string {
  return block.replaceAll("http://127.0.0.1:8000", world.url)
    .replace(/(?<![\w/])data\//g, `${world.data}/hub/`)
    .replace(/^( *)curl /gm, "$1curl -fsS -w '\\n' ");
}

withCurl("every command of the first hour works as written, and the last finds the culprit", async () => {
  const [demo, ...others] = await commands();
  expect(demo).toBe("deno task demo\n");
  const log = `${world.data}/demo.log`;
  world.spawn({ by: `exec sh run/start.sh --demo >"${log}"` }).stderr.pipeTo(new WritableStream());
  const printed = await until(
    () => Deno.readTextFile(log).catch(() => ""),
    (text) => text.includes("Ctrl-C stops it."),
  );
  expect(printed).toContain("Miscompile: last good changelist 1080, first bad 1085, fixed at 1160");

  const script = ["set -e", ...others.map(placed)].join("\necho\n");
  const { success, stdout, stderr } = await new Deno.Command("sh", { args: ["-c", script], cwd: HOME })
    .output();
  expect(success, new TextDecoder().decode(stderr)).toBe(true);
  const answers = new TextDecoder().decode(stdout).split("\n").filter((line) => /^\{.*\}$/.test(line))
    .map((line) => JSON.parse(line));
  expect(answers).toContainEqual(expect.objectContaining({ runId: expect.any(Number), accepted: 1 }));
  expect(answers).toContainEqual({
    items: [expect.objectContaining({ case: "parser.nested", lastGood: 1080, firstBad: 1090 })],
    nextCursor: null,
    package: null,
  });
  expect(answers).toContainEqual(expect.objectContaining({ name: "calc-debug", scraper: "vrl" }));
  // A machine that is busy may need longer than the page's pause.
  const culprit = await until(
    async () =>
      await (await fetch(`${world.url}/api/results/culprit?test=calc&case=calc.subtract.chain`)).json(),
    ({ items }) => items[0].between === 0,
  );
  expect(culprit.items).toEqual([expect.objectContaining({ lastGood: 1082, firstBad: 1083, fixedAt: 1160 })]);
}, 240_000);
