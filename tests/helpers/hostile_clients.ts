import type { Random } from "./faults.ts";
import { type HostileLine, openLine } from "./hostile_line.ts";

export interface HostileWorld {
  port: number;
  token: string;
  /** The hub's PUSH_JSON_LIMIT. */
  pushLimit: number;
  /** Resolves at the end of the trial, for clients that nothing else ends. */
  over: Promise<void>;
}

/** Runs until the hub has closed its connections, or hangs up itself. Returns the statuses of the responses. */
type Hostile = (world: HostileWorld, random: Random) => Promise<number[]>;

const PATHS = ["/api/results", "/api/tests", "/api/trpc/results.push", "/api/results?test=cut&changelist=1"];
const READS = ["/api/runs?test=trial&limit=1000", "/api/results?test=trial&format=csv", "/api/docs", "/"];

/** The head of a request, with its empty line. */
function head({ port }: HostileWorld, first: string, headers: string[] = []): string {
  return [`${first} HTTP/1.1`, `host: 127.0.0.1:${port}`, ...headers, "", ""].join("\r\n");
}

/** Headers of a body; half of the time with permission to push. */
function bodyHeaders({ token }: HostileWorld, random: Random): string[] {
  const right = random.below(2) === 0 ? [`authorization: Bearer ${token}`] : [];
  return [...right, `content-type: ${random.pick(["application/json", "application/xml", "text/csv"])}`];
}

const post = (world: HostileWorld, random: Random, ...headers: string[]) =>
  head(world, `POST ${random.pick(PATHS)}`, [...bodyHeaders(world, random), ...headers]);

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

/** Opens a connection, sends one text and waits for the end. */
async function sendOnly(world: HostileWorld, data: string | Uint8Array): Promise<number[]> {
  const line = await openLine(world.port);
  await line.send(data);
  return await line.untilClosed();
}

async function hangUp(line: HostileLine): Promise<number[]> {
  await line.readSome();
  line.close();
  return [];
}

const CHUNKS = [
  "zz\r\nabc",
  "-1\r\n",
  "0x5\r\nabcde\r\n",
  "ffffffffffffffff\r\nabc",
  "fffffffffffffffff\r\nabc",
  " 5 \r\nabcde\r\n",
  "5\r\nabcdeXX",
  "5\nabcde\n",
  "\r\n\r\n",
  "0\r\nx: y\r\nhost: evil.test\r\n\r\n",
];

const LINES = [
  "GET",
  "GET /",
  "GET / HTTP/9.9",
  "GET http:// HTTP/1.1",
  "get /api/tests HTTP/1.1",
  "GET /api/tests HTTP/1.1\r\nhost: a\r\nhost: b",
  "GET /api/tests HTTP/1.1\r\n folded: x",
  "GET /api/tests HTTP/1.1\r\nbad name: x",
  "GET /api/tests HTTP/1.1\r\nhost: x\0y",
  "POST /api/results HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ncontent-length: 6",
  "POST /api/results HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1",
  "POST /api/results HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked",
  "POST /api/results HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: gzip, chunked, identity",
  "CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443",
  "TRACE /api/tests HTTP/1.1\r\nhost: 127.0.0.1",
  "OPTIONS * HTTP/1.1\r\nhost: 127.0.0.1",
  "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade",
  "PRI * HTTP/2.0",
];

const SPELLINGS = [
  "/api/%74ests",
  "//api/tests",
  "/api//tests",
  "/api/tests/../../etc/passwd",
  "/api/tests%00",
  "/api/tests%2f..",
  "/api/%zz",
  "/api/trpc/tests%2Elist",
  "/api/trpc/tests.list,tests.list,tests.list?batch=1",
  "/api/trpc/__proto__.constructor",
  "/api/runs?test=%ff%fe",
  "/api/runs?limit=-1",
  `/api/runs?cursor=${"x".repeat(3000)}`,
  `/${"a/".repeat(4000)}`,
  "/api/auth/%6cogin?password=x",
];

const HOSTS = ["evil.test", "127.0.0.1:99999", "[::1", "", "a b", "localhost.evil.test", "x".repeat(5000)];

export const HOSTILE: Record<string, Hostile> = {
  "slow headers": async (world, random) => {
    const line = await openLine(world.port);
    await line.send(`GET ${random.pick(READS)} HTTP/1.1\r\nhost: 127.0.0.1\r\n`);
    return await line.untilClosed({ drip: () => "x: y\r\n" });
  },
  "a stopped body": (world, random) =>
    sendOnly(
      world,
      `${post(world, random, `content-length: ${1 + random.below(1 << 20)}`)}{`.slice(0, -random.below(2)),
    ),
  "a dripping body": async (world, random) => {
    const line = await openLine(world.port);
    const isChunked = random.below(2) === 0;
    await line.send(
      post(world, random, isChunked ? "transfer-encoding: chunked" : "content-length: 1000000"),
    );
    return await line.untilClosed({ drip: () => isChunked ? "1\r\n \r\n" : " " });
  },
  "odd chunks": (world, random) =>
    sendOnly(world, `${post(world, random, "transfer-encoding: chunked")}${random.pick(CHUNKS)}`),
  "long chunk extensions": (world, random) =>
    sendOnly(
      world,
      `${post(world, random, "transfer-encoding: chunked")}1;${
        "x".repeat(random.below(40_000))
      }\r\n{\r\n0\r\n\r\n`,
    ),
  "a cut request": async (world, random) => {
    const body = JSON.stringify({
      ...{ test: "trial", changelist: 1, externalId: `cut-${random.next()}` },
      results: [{ case: "a", outcome: "passed" }],
    });
    const headers = [
      ...[`authorization: Bearer ${world.token}`, "content-type: application/json"],
      `content-length: ${body.length}`,
    ];
    const whole = head(world, "POST /api/results", headers) + body;
    const line = await openLine(world.port);
    await line.send(whole.slice(0, random.below(whole.length)));
    line.close();
    return [];
  },
  "oversized headers": (world, random) =>
    sendOnly(
      world,
      head(
        world,
        "GET /api/tests",
        Array(random.pick([1, 200])).fill(`x: ${"y".repeat(random.below(100_000))}`),
      ),
    ),
  "a near-limit body without rights": async (world, random) => {
    const line = await openLine(world.port);
    const length = world.pushLimit - 1;
    await line.send(
      head(world, `POST ${random.pick(PATHS)}`, [
        "content-type: application/json",
        `content-length: ${length}`,
      ]),
    );
    const sent = line.send(" ".repeat(length - 1));
    const statuses = await line.untilClosed();
    await sent;
    return statuses;
  },
  "near-limit nonsense of one who may push": async (world, random) => {
    const length = world.pushLimit - 1;
    const headers = [
      ...[`authorization: Bearer ${world.token}`, "content-type: application/json"],
      `content-length: ${length}`,
    ];
    const line = await openLine(world.port);
    await line.send(head(world, "POST /api/results", headers));
    const sent = line.send(random.pick(["{", "[", " ", '{"a":']).repeat(length).slice(0, length));
    const statuses = await line.untilClosed();
    await sent;
    return statuses;
  },
  "a half-closed socket": async (world, random) => {
    const line = await openLine(world.port);
    await line.send(random.pick([
      head(world, `GET ${random.pick(READS)}`),
      post(world, random, "content-length: 100"),
      "GET / HT",
    ]));
    await line.closeWrite();
    return await line.untilClosed();
  },
  "a reader that never reads": async (world, random) => {
    const line = await openLine(world.port);
    const sent = line.send(head(world, `GET ${random.pick(READS)}`).repeat(1 + random.below(200)));
    await world.over;
    line.close();
    await sent;
    return [];
  },
  "a hang-up in the middle of an answer": async (world, random) => {
    const line = await openLine(world.port);
    await line.send(head(world, `GET ${random.pick(READS)}`));
    return await hangUp(line);
  },
  "a hang-up before the answer": async (world, random) => {
    const line = await openLine(world.port);
    await line.send(head(world, `GET ${random.pick(READS)}`));
    line.close();
    return [];
  },
  "a malformed request": (world, random) => sendOnly(world, `${random.pick(LINES)}\r\n\r\n`),
  "an odd path": (world, random) => {
    const method = random.pick(["GET", "POST", "DELETE", "HEAD", "BREW"]);
    return sendOnly(world, head(world, `${method} ${random.pick(SPELLINGS)}`));
  },
  "an odd host": (world, random) =>
    sendOnly(world, `GET /api/tests HTTP/1.1\r\nhost: ${random.pick(HOSTS)}\r\n\r\n`),
  "random bytes": (world, random) => sendOnly(world, bytes(random, 1 + random.below(20_000))),
  "random bytes behind a preface of HTTP/2": async (world, random) => {
    const line = await openLine(world.port);
    await line.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // An empty SETTINGS frame, then PINGs or nonsense.
    await line.send(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
    if (random.below(2) === 0) await line.send(bytes(random, 1 + random.below(1000)));
    return await line.untilClosed({ drip: () => "\0\0\x08\x06\0\0\0\0\0abcdefgh" });
  },
  "pipelined requests": (world, random) =>
    sendOnly(world, head(world, `GET ${random.pick(READS)}`).repeat(1 + random.below(100))),
  "many silent connections": async (world, random) => {
    const lines = await Promise.all(Array.from({ length: 1 + random.below(50) }, () => openLine(world.port)));
    return (await Promise.all(lines.map((line) => line.untilClosed()))).flat();
  },
};
