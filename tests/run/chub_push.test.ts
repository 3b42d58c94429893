import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";
import { makePathWithoutCurl, runPush } from "../helpers/push.ts";
import { hasProgram, requires } from "../helpers/require.ts";

const withCurl = requires("curl", hasProgram("curl"), "install curl");

let app: TestApp;
let server: Deno.HttpServer<Deno.NetAddr>;
let folder: string;
/** Responses given instead of the hub's, last one first. */
let before: (() => Response)[] = [];
/** A PATH without curl. */
let withoutCurl: string;
beforeAll(async () => {
  app = await testApp();
  folder = await Deno.makeTempDir({ prefix: "chub-push-" });
  withoutCurl = await makePathWithoutCurl(folder);
  server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const first = before.pop();
      if (first === undefined) return await app.fetch(request, { remote: "127.0.0.1" });
      await request.arrayBuffer();
      return first();
    },
  );
});
afterAll(async () => {
  await server.shutdown();
  await app.close();
  await Deno.remove(folder, { recursive: true });
});

type Push = (args: string[], env?: Record<string, string>) => ReturnType<typeof runPush>;

/** Runs a test with each sender. `name`: the sender's name, to separate the rows of both. */
function bySenders(title: string, run: (push: Push, name: string) => Promise<void>, timeout = 30_000) {
  const settings = () => ({
    CHUB_URL: `http://127.0.0.1:${server.addr.port}`,
    CHUB_TOKEN: app.token,
    CHUB_PUSH_WAIT: "0",
  });
  withCurl(
    `by curl: ${title}`,
    () => run((args, env) => runPush(folder, args, { ...settings(), ...env }), "curl"),
    timeout,
  );
  test(
    `by Deno: ${title}`,
    () => run((args, env) => runPush(folder, args, { ...settings(), PATH: withoutCurl, ...env }), "Deno"),
    timeout,
  );
}

bySenders(
  "files of any name and kind are one run, and repeating the push changes nothing",
  async (push, name) => {
    const odd = `a "b";c,\\d 'e' $HOME.tap`;
    await Deno.writeTextFile(`${folder}/${odd}`, "1..3\nok 1 - first\nnot ok 2 - second\n");
    await Deno.writeTextFile(`${folder}/gcc.sum`, "PASS: gcc.dg/a.c\nXFAIL: gcc.dg/b.c\n");
    const args = [
      "-t",
      `nightly-${name}`,
      "--changelist=1000",
      "-e",
      "os=linux",
      "--env",
      "gpu=a b",
      "-p",
      "p",
      "./gcc.sum",
      odd,
    ];
    const first = await push(args);
    expect(first).toMatchObject({ code: 0, err: "" });
    const answer = JSON.parse(first.out);
    expect(answer).toMatchObject({
      accepted: 4,
      counts: { passed: 2, xfailed: 1, failed: 1 },
      missing: 1,
      rejected: [],
    });
    const run = await (await app.ask("GET", `/api/runs/${answer.runId}`)).json();
    expect(run).toMatchObject({
      changelist: 1000,
      package: "p",
      environment: { os: "linux", gpu: "a b" },
      counts: { passed: 2, xfailed: 1, failed: 1, not_run: 1 },
    });
    const again = await push(args);
    expect([again.code, JSON.parse(again.out).runId]).toEqual([0, answer.runId]);
    const quiet = await push(["-q", ...args]);
    expect(quiet).toEqual({ code: 0, out: "", err: "" });
  },
);

bySenders("the hub reports a file by its path on the command line", async (push) => {
  const odd = `é "b" c.txt`;
  await Deno.writeTextFile(`${folder}/${odd}`, "nothing to see\n");
  await Deno.writeTextFile(`${folder}/d.tap`, "1..1\nok 1\n");
  const { code, out } = await push(["-t", "names", "-c", "1", "d.tap", odd]);
  expect(code).toBe(0);
  const [{ file }] = JSON.parse(out).rejected;
  // curl before 7.81 does not encode quotes.
  expect([`é %22b%22 c.txt`, odd]).toContain(file);
});

bySenders("retries while the hub is unreachable, without duplicates in mode append", async (push, name) => {
  await Deno.writeTextFile(`${folder}/a.tap`, "1..1\nok 1\n");
  const args = ["-t", `retried-${name}`, "-c", "5", "-i", "build 7", "-m", "append", "a.tap"];
  before = [() => new Response("", { status: 502 }), () => new Response("", { status: 503 })];
  const first = await push(args);
  expect(first.code).toBe(0);
  expect(first.err).toContain("retrying in");
  // The hub stored the push, but its response was lost.
  const second = await push(args);
  expect(JSON.parse(second.out).runId).toBe(JSON.parse(first.out).runId);
  const { items } = await (await app.ask("GET", `/api/runs?test=retried-${name}`)).json();
  expect(items).toHaveLength(1);
  before = Array.from({ length: 3 }, () => () => new Response("", { status: 503 }));
  const up = await push(["--retries", "2", ...args]);
  expect([up.code, up.err]).toEqual([3, expect.stringContaining("gave up after 3 attempts")]);
  before = [];
  const unreachable = await push(["--retries", "2", ...args], { CHUB_URL: "http://127.0.0.1:9" });
  expect(unreachable.code).toBe(3);
  expect(unreachable.err.match(/the hub is unreachable .*; retrying in 0 s/g)).toHaveLength(2);
  expect(unreachable.err).toMatch(/connect.* 127\.0\.0\.1[\s\S]*gave up after 3 attempts/);
});

bySenders(
  "reads a token from a file, and reports refusals and wrong usage by exit code and reason",
  async (push, name) => {
    await Deno.writeTextFile(`${folder}/token`, `${app.token}\n`);
    await Deno.writeTextFile(`${folder}/b.tap`, "1..1\nok 1\n");
    await Deno.writeTextFile(`${folder}/notes.txt`, "nothing to see\n");
    const byFile = { CHUB_TOKEN: "", CHUB_TOKEN_FILE: `${folder}/token` };
    expect((await push(["-t", "t", "-c", "1", "b.tap"], byFile)).code).toBe(0);
    const wrong = await push(["-t", "t", "-c", "1", "b.tap"], { CHUB_TOKEN: "chub_wrong" });
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining("401")]);
    const unknown = await push(["-t", "t", "-c", "1", "notes.txt"]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("unknown format")]);
    for (
      const [args, reason] of [
        [["-c", "1", "b.tap"], "set the test"],
        [["-t", "t", "b.tap"], "set the changelist"],
        [["-t", "t", "-c", "1"], "at least one file"],
        [["-t", "t", "-c", "1", "absent.xml"], "absent.xml is not a readable file"],
        [["-t", "t", "-c", "1", "-e", "linux", "b.tap"], "KEY=VALUE"],
        [["--nonsense", "1", "b.tap"], "unknown option --nonsense"],
        [["-t"], "requires a value"],
        [["b.tap", "-t", "t", "-c", "1"], "options must precede the files, got -t"],
        [
          ["-t", "t", "-c", "1", "--retries", "abc", "b.tap"],
          "--retries must be a number of up to 5 digits, got abc",
        ],
        [["-t", "t", "-c", "1", "--stall", "", "b.tap"], "--stall must be a number"],
        [["-t", "t", "-c", "1", "-s", "hub:8000", "b.tap"], "must be an http or https URL, got hub:8000"],
        [["-t", "t", "-c", "1", "-s", "http://[bad", "b.tap"], `${name} cannot send it`],
      ] as const
    ) {
      const refused = await push([...args]);
      expect([refused.code, refused.err]).toEqual([2, expect.stringContaining(reason)]);
    }
    expect((await push(["--help"])).out).toContain("CHUB_TOKEN_FILE");
    expect((await push(["-t", "t", "-c", "1", "b.tap"], { CHUB_TOKEN: "" })).err).toContain("set CHUB_TOKEN");
  },
);

bySenders("neither a value nor a file name can make it send to another server", async (push) => {
  let asked = 0;
  const other = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked++;
    return new Response("");
  });
  const address = `127.0.0.1:${other.addr.port}`;
  const name = `a\nurl = ${address}\nb.tap`;
  // A file name cannot contain a slash.
  await Deno.writeTextFile(`${folder}/${name}`, "1..1\nok 1\n");
  await Deno.writeTextFile(`${folder}/"a`, "1..1\nok 1\n");
  for (
    const args of [
      ["-t", "x", "-c", "1", "-i", `x\nurl = http://${address}/`, '"a'],
      ["-t", "x", "-c", "1", "-i", `x\rurl = http://${address}/`, '"a'],
      ["-t", "x", "-c", "1", "-k", `"\nurl = http://${address}/`, '"a'],
      ["-t", "x", "-c", "1", '"a', name],
    ]
  ) {
    const refused = await push(args);
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining("contains a line end")]);
  }
  await other.shutdown();
  expect(asked).toBe(0);
});

bySenders(
  "waits as long as a busy hub requests, aborts stalled attempts, and treats an empty address as unset",
  async (push) => {
    await Deno.writeTextFile(`${folder}/c.tap`, "1..1\nok 1\n");
    before = [() => new Response("", { status: 429, headers: { "retry-after": "1" } })];
    const args = ["-t", "busy", "-c", "5", "c.tap"];
    const busy = await push(args);
    expect([busy.code, busy.err]).toEqual([
      0,
      "chub-push: the hub is busy (429); retrying in 1 s\n",
    ]);
    before = [() => new Response("not here", { status: 501 })];
    expect(await push(args)).toMatchObject({ code: 1, err: "not here\n" });
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const open: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of silent) open.push(connection);
    })();
    const stalled = await push([
      "-s",
      `http://127.0.0.1:${silent.addr.port}`,
      "--retries",
      "0",
      "--stall",
      "1",
      ...args,
    ]);
    expect([stalled.code, stalled.err]).toEqual([3, expect.stringContaining("gave up after 1 attempts")]);
    silent.close();
    for (const connection of open) connection.close();
    await accepting;
    // 127.0.0.1:8000, where a hub may or may not be.
    expect((await push(["--retries", "0", ...args], { CHUB_URL: "" })).err).not.toContain("must be");
  },
);
