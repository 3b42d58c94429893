import { afterEach, expect, test } from "vitest";
import { type HubListener, listen, type ListenOptions } from "../../run/listener.ts";
import { HOME } from "../helpers/app.ts";
import { until } from "../helpers/lab.ts";

/** A connection still open after this time is never closed, even on a busy machine. */
const HANG_MS = 60_000;
const servers: HubListener[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.shutdown();
});

function serve(
  options: Partial<ListenOptions> = {},
  handler: Parameters<typeof listen>[0] = async (request) =>
    new Response(`got ${(await request.text()).length}`),
): HubListener & { logged: string[] } {
  const logged: string[] = [];
  const server = listen(handler, {
    hostname: "127.0.0.1",
    port: 0,
    headerTimeoutMs: 1000,
    idleTimeoutMs: 1000,
    onListen: () => {},
    log: (message) => logged.push(message),
    ...options,
  });
  servers.push(server);
  return Object.assign(server, { logged });
}

const connect = ({ addr }: HubListener) => Deno.connect({ hostname: "127.0.0.1", port: addr.port });
const send = (connection: Deno.Conn, text: string) => connection.write(new TextEncoder().encode(text));

/** Reads until the server closes the connection; sends `drip` repeatedly meanwhile. */
async function untilClosed(connection: Deno.Conn, drip?: string): Promise<string> {
  let text = "";
  let isOpen = true;
  const dripping = (async () => {
    while (isOpen && drip !== undefined) {
      await send(connection, drip).catch(() => isOpen = false);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const hang = setTimeout(() => connection.close(), HANG_MS);
  const buffer = new Uint8Array(10_000);
  const read = () => connection.read(buffer).catch(() => null);
  for (let count; (count = await read()) !== null;) {
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  isOpen = false;
  await dripping;
  clearTimeout(hang);
  try {
    connection.close();
  } catch {
    throw new Error(`still open after ${HANG_MS / 1000} s`);
  }
  return text;
}

test.each([
  ["sends nothing", "", undefined],
  ["sends half of its headers", "GET / HTTP/1.1\r\nhost: x\r\n", undefined],
  ["sends a header now and then", "GET / HTTP/1.1\r\nhost: x\r\n", "a: b\r\n"],
])("a connection that %s is closed", async (_what, begin, drip) => {
  const server = serve();
  const connection = await connect(server);
  if (begin !== "") await send(connection, begin);
  expect(await untilClosed(connection, drip)).toBe("");
  await until(() => Promise.resolve(server.size), (size) => size === 0);
});

test("a connection idle after a response is closed, even if the next request's headers drip in", async () => {
  const server = serve({ headerTimeoutMs: 3_600_000 });
  for (const drip of [undefined, "a: b\r\n"]) {
    const connection = await connect(server);
    await send(connection, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    if (drip !== undefined) await send(connection, "GET / HTTP/1.1\r\n");
    const text = await untilClosed(connection, drip);
    expect([drip, text.match(/HTTP\/1.1 200/g)]).toEqual([drip, ["HTTP/1.1 200"]]);
  }
});

test("a connection on which the rest of a refused body drips in is closed", async () => {
  const server = serve({ headerTimeoutMs: 3_600_000 }, () => new Response("no", { status: 401 }));
  const connection = await connect(server);
  await send(connection, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
  expect(await untilClosed(connection, " ")).toContain("401");
});

test("a connection is not closed while its request is handled, but is if the client does not receive the response", async () => {
  const finish = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const server = serve(
    { headerTimeoutMs: 60_000, idleTimeoutMs: 1, answerTimeoutMs: 1000 },
    async (request) => {
      if (new URL(request.url).pathname === "/large") return new Response("x".repeat(64 << 20));
      begun.resolve();
      await finish.promise;
      return new Response("done");
    },
  );
  const slow = await connect(server);
  const answer = untilClosed(slow);
  await send(slow, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await begun.promise;
  const deaf = await connect(server);
  await send(deaf, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n");
  await until(() => Promise.resolve(server.size), (size) => size === 2);
  // The other, idle connection is closed, which shows that limits have been checked meanwhile.
  await until(() => Promise.resolve(server.size), (size) => size === 1);
  finish.resolve();
  expect(await answer).toMatch(/^HTTP\/1.1 200 [^]*done$/);
  deaf.close();
});

test("after many connections none is left open", async () => {
  const server = serve({ headerTimeoutMs: 60_000, idleTimeoutMs: 60_000 });
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, async (_, at) => {
      const connection = await connect(server);
      if (at % 3 === 0) await send(connection, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      if (at % 3 === 1) await send(connection, "\u0016\u0003 no HTTP\r\n\r\n");
      connection.close();
    }));
  }
  await until(() => Promise.resolve(server.size), (size) => size === 0);
  expect(await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text()).toBe("got 0");
  expect(server.logged).toEqual([]);
});

test("clients that reset connections before they are accepted do not affect others and are not logged", async () => {
  const server = serve({ headerTimeoutMs: 60_000, idleTimeoutMs: 60_000 });
  const idle = await connect(server);
  await until(() => Promise.resolve(server.size), (size) => size === 1);
  const resets = `import net from "node:net";
    for (let at = 0; at < 20; at++) {
      const one = net.connect(${server.addr.port}, "127.0.0.1", () => one.resetAndDestroy());
    }`;
  // No connection is accepted while this process waits for the other.
  const { code } = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", resets] }).outputSync();
  expect(code).toBe(0);
  expect(await (await fetch(`http://127.0.0.1:${server.addr.port}/`)).text()).toBe("got 0");
  expect(server.logged).toEqual([]);
  await send(idle, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  expect(await untilClosed(idle)).toContain("got 0");
});

test("a shutdown closes open connections and accepts no more", async () => {
  const server = serve({ headerTimeoutMs: 60_000 });
  const connection = await connect(server);
  await until(() => Promise.resolve(server.size), (size) => size === 1);
  await server.shutdown();
  expect(await untilClosed(connection)).toBe("");
  await expect(connect(server)).rejects.toThrow(Deno.errors.ConnectionRefused);
});

test("without free file descriptors, idle connections are closed in favour of new ones", async () => {
  const code = `
    import { listen } from ${JSON.stringify(`${HOME}/run/listener.ts`)};
    const limits = { headerTimeoutMs: 3_600_000, idleTimeoutMs: 3_600_000 };
    // As in the hub: adding a signal listener takes descriptors, and Deno exits if none is left.
    Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
    listen(() => new Response("done"), {
      hostname: "127.0.0.1",
      port: 0,
      ...limits,
      onListen: ({ port }) => console.log(port),
      log: (message) => console.error(message),
    });`;
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/server.ts`, code);
  const server = new Deno.Command("sh", {
    args: [
      "-c",
      'ulimit -n 64; exec "$@"',
      "sh",
      Deno.execPath(),
      "run",
      "-A",
      "--no-config",
      `${folder}/server.ts`,
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(server.stderr).text();
  const idle: Deno.Conn[] = [];
  try {
    const { value } = await server.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    const address = { hostname: "127.0.0.1", port: Number(value) };
    for (let count = 0; count < 80; count++) idle.push(await Deno.connect(address));
    for (let count = 0; count < 3; count++) {
      expect(await (await fetch(`http://127.0.0.1:${address.port}/`)).text()).toBe("done");
    }
  } finally {
    idle.forEach((connection) => connection.close());
    server.kill("SIGTERM");
    await server.status;
    await Deno.remove(folder, { recursive: true });
  }
  expect(await errors).toContain("connections cannot be accepted");
});
