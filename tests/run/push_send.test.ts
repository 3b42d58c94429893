import { afterAll, beforeAll, expect, test } from "vitest";
import { makeCertificates } from "../helpers/certificates.ts";
import { makePathWithoutCurl, runPush } from "../helpers/push.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { HOME } from "../helpers/app.ts";

const hasCurl = hasProgram("curl");
const BIG = 300 * 1024 * 1024;
const ARGS = ["-t", "t", "-c", "1", "-k", "key", "--retries", "0"];

let folder: string;
let withoutCurl: string;
/** PATH by sender. */
let senders: [string, string][];
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "push-send-" });
  withoutCurl = await makePathWithoutCurl(folder);
  senders = [
    ["Deno", withoutCurl],
    ...(hasCurl ? [["curl", Deno.env.get("PATH")!]] as [string, string][] : []),
  ];
  await Deno.writeTextFile(`${folder}/a.tap`, "1..1\nok 1\n");
  await Deno.writeTextFile(`${folder}/big`, "");
  await Deno.truncate(`${folder}/big`, BIG);
});
afterAll(() => Deno.remove(folder, { recursive: true }));

const push = (args: string[], env: Record<string, string>) =>
  runPush(folder, [...ARGS, ...args], {
    PATH: withoutCurl,
    CHUB_TOKEN: "secret",
    CHUB_PUSH_WAIT: "0",
    ...env,
  });

/** Serves `answer` while `use` runs. */
async function serving<T>(
  answer: (request: Request) => Response | Promise<Response>,
  use: (url: string) => Promise<T>,
  certificate: { cert?: string; key?: string } = {},
): Promise<T> {
  const options = {
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response("", { status: 500 }),
  };
  const server = Deno.serve(
    { ...options, ...certificate } as Deno.ServeTcpOptions,
    answer,
  ) as Deno.HttpServer<
    Deno.NetAddr
  >;
  try {
    return await use(`127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

async function sizeOf(body: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.length;
  return size;
}

test("Deno sends the same parts as curl, byte for byte", async () => {
  const name = `é "b" c,\\d.tap`;
  await Deno.writeTextFile(`${folder}/${name}`, "1..0\n");
  const bodies: Record<string, string> = {};
  for (const [sender, path] of senders) {
    const { code, out } = await serving(async (request) => {
      const boundary = /boundary=(.*)$/.exec(request.headers.get("content-type")!)![1]!;
      const body = await request.text();
      expect(request.headers.get("content-length")).toBe(String(new TextEncoder().encode(body).length));
      expect(request.headers.get("authorization")).toBe(`Bearer a"\\b`);
      bodies[sender] = body.replaceAll(boundary, "B").replaceAll("\r\n", "\n");
      return new Response("stored", { status: 201 });
    }, (address) =>
      push(["-t", `é "\\`, "-e", "os=a b", "-p", "x=y", name, "a.tap"], {
        PATH: path,
        CHUB_URL: `http://${address}/`,
        CHUB_TOKEN: `a"\\b`,
      }));
    expect([code, out]).toEqual([0, "stored\n"]);
  }
  const head = "--B\nContent-Disposition: form-data; name=";
  const type = "\nContent-Type: application/octet-stream\n\n";
  expect(bodies.Deno).toBe(
    `${head}"test"\n\né "\\\n${head}"changelist"\n\n1\n${head}"package"\n\nx=y\n` +
      `${head}"environment"\n\nos=a b\n${head}"file"; filename="é %22b%22 c,\\d.tap"${type}1..0\n\n` +
      `${head}"file"; filename="a.tap"${type}1..1\nok 1\n\n--B--\n`,
  );
  // curl before 7.81 writes quotes in file names differently.
  const plain = (body: string | undefined) => body?.replace(/filename="é .*"/, "");
  if (hasCurl) expect(plain(bodies.curl)).toBe(plain(bodies.Deno));
});

test("a large file is sent in bounded memory, and the token is not in the process list", async () => {
  const wrapper = `${folder}/deno-with-pid`;
  await Deno.writeTextFile(wrapper, `#!/bin/sh\necho $$ >"${folder}/pid"\nexec deno "$@"\n`, { mode: 0o755 });
  let peak = 0;
  let command = "";
  const { code, out } = await serving(async (request) => {
    const declared = Number(request.headers.get("content-length"));
    const size = await sizeOf(request.body!);
    if (Deno.build.os === "linux") {
      const pid = (await Deno.readTextFile(`${folder}/pid`)).trim();
      peak = Number(/VmHWM:\s*(\d+) kB/.exec(await Deno.readTextFile(`/proc/${pid}/status`))![1]) / 1024;
      command = await Deno.readTextFile(`/proc/${pid}/cmdline`);
    }
    return Response.json({ size, isWhole: size === declared && size > BIG });
  }, (address) => push(["big"], { CHUB_URL: `http://${address}`, CHUB_DENO: wrapper }));
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ isWhole: true });
  if (Deno.build.os !== "linux") return;
  expect(peak).toBeGreaterThan(10);
  expect(peak).toBeLessThan(200);
  expect(command).toContain("--allow-read=big");
  expect(command).not.toContain("secret");
}, 120_000);

test("a response that arrives before a large file is fully sent counts", async () => {
  for (const [, path] of senders) {
    const refused = await serving(
      () => new Response("no", { status: 401 }),
      (address) => push(["big"], { PATH: path, CHUB_URL: `http://${address}` }),
    );
    expect(refused).toEqual({ code: 1, out: "", err: "no\n" });
  }
});

test(
  "an attempt is aborted if the server stops reading, and an incomplete response does not count",
  async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connections: Deno.Conn[] = [];
    let answer = "";
    const accepting = (async () => {
      for await (const connection of listener) {
        connections.push(connection);
        if (answer === "") continue;
        await connection.read(new Uint8Array(1 << 16));
        await connection.write(new TextEncoder().encode(answer));
        await connection.closeWrite();
      }
    })();
    const env = { CHUB_URL: `http://127.0.0.1:${listener.addr.port}` };
    for (const [sender, path] of senders) {
      answer = "";
      const stalled = await push(["--stall", "1", "big"], { ...env, PATH: path });
      expect([stalled.code, stalled.out]).toEqual([3, ""]);
      if (sender === "Deno") expect(stalled.err).toContain("no byte was sent or received for 1 s");
      answer = "HTTP/1.1 201 Created\r\ncontent-length: 20\r\n\r\n{}";
      const half = await push(["a.tap"], { ...env, PATH: path });
      expect([half.code, half.out]).toEqual([3, ""]);
    }
    listener.close();
    for (const connection of connections) connection.close();
    await accepting;
  },
  60_000,
);

test("a redirect is not followed", async () => {
  for (const [, path] of senders) {
    let asked = 0;
    const refused = await serving(async (request) => {
      asked++;
      await request.arrayBuffer();
      return new Response(null, { status: 307, headers: { location: "/elsewhere" } });
    }, (address) => push(["a.tap"], { PATH: path, CHUB_URL: `http://${address}` }));
    expect(refused).toEqual({ code: 1, out: "", err: "chub-push: the hub answered 307\n" });
    expect(asked).toBe(1);
  }
});

test("a file that becomes shorter while it is sent is an error", async () => {
  await Deno.writeTextFile(`${folder}/shrinking`, "");
  await Deno.truncate(`${folder}/shrinking`, BIG);
  const { code, err } = await serving(async (request) => {
    const reader = request.body!.getReader();
    await reader.read();
    await Deno.truncate(`${folder}/shrinking`, 10);
    while (!(await reader.read()).done);
    return new Response("stored");
  }, (address) => push(["shrinking"], { CHUB_URL: `http://${address}` }));
  expect([code, err]).toEqual([
    2,
    "chub-push: shrinking became shorter while it was sent\nchub-push: Deno cannot send it (26)\n",
  ]);
});

requires("openssl", hasProgram("openssl"), "install openssl")(
  "an untrusted certificate is not retried, and a certificate in $DENO_CERT is trusted",
  async () => {
    const { cert, key, ca } = await makeCertificates(folder);
    const certificate = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
    await serving(async (request) => new Response(`${await sizeOf(request.body!)}`), async (address) => {
      const CHUB_URL = `https://${address}`;
      for (const [sender, path] of senders) {
        const refused = await push(["--retries", "9", "a.tap"], { PATH: path, CHUB_URL });
        expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/certificate/)]);
        expect(refused.err).toContain(`${sender} cannot send it (60)`);
      }
      const trusted = await push(["a.tap"], { CHUB_URL, DENO_CERT: ca });
      expect(trusted).toMatchObject({ code: 0, err: "" });
    }, certificate);
  },
);

test("names the missing part if there is neither curl nor Deno, or no push_send.ts", async () => {
  const empty = await makePathWithoutCurl(folder, { deno: false });
  const none = await push(["a.tap"], { PATH: empty });
  expect([none.code, none.err]).toEqual([
    2,
    expect.stringContaining("neither curl nor Deno (deno) was found"),
  ]);
  const wrong = await push(["a.tap"], { CHUB_DENO: "/nowhere/deno" });
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("Deno (/nowhere/deno)")]);
  await Deno.copyFile(`${HOME}/run/chub-push`, `${folder}/copied`);
  const env = { PATH: withoutCurl, CHUB_TOKEN: "x" };
  const copied = await runPush(folder, [...ARGS, "a.tap"], env, "copied");
  expect([copied.code, copied.err]).toEqual([2, expect.stringMatching(/curl was not found.*push_send\.ts/)]);
  const linked = `${folder}/linked`;
  await Deno.symlink(`${HOME}/run/chub-push`, linked);
  const sent = await runPush(folder, [...ARGS, "-s", "http://127.0.0.1:9", "a.tap"], env, linked);
  expect([sent.code, sent.err]).toEqual([3, expect.stringContaining("cannot connect to 127.0.0.1:9")]);
});
