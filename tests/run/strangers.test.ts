import { afterAll, beforeAll, expect, test } from "vitest";
import { COPIES, type HubProcess, startHubProcess, USUAL_MB } from "../helpers/hub_process.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";
import { parseAnswer, readAll } from "../helpers/wire.ts";

const CONNECTIONS = 16;
const SIZE = 60 << 20;
const ROOM = 64 << 20;

let database: TestDatabase;
let hub: HubProcess;
beforeAll(async () => {
  database = await testDatabase();
  hub = await startHubProcess(database.url, {
    BODY_MEMORY: String(ROOM),
    HEADER_TIMEOUT: "5",
    RATE_WRITES: "100000",
  });
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await database.drop();
});

/** Sends a body without its last byte for as long as the hub accepts it, and reads the response. */
async function sendMost(path: string, headers: string[] = []): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: hub.port });
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: 127.0.0.1:${hub.port}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${SIZE}`,
    ...headers,
  ];
  const answer = readAll(connection);
  const piece = new TextEncoder().encode(" ".repeat(1 << 16));
  try {
    await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
    for (let left = SIZE - 1; left > 0;) left -= await connection.write(piece.subarray(0, left));
    // The last byte is sent once all connections have sent the rest.
    await connection.write(piece.subarray(0, 1));
  } catch (error) {
    // The hub may close a connection whose body it refuses.
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) {
      throw error;
    }
  }
  return parseAnswer(await answer).status;
}

const all = (path: string, headers?: string[]) =>
  Promise.all(Array.from({ length: CONNECTIONS }, () => sendMost(path, headers)));

test("16 anonymous connections that send 60 MiB each take no memory", async () => {
  const before = hub.residentMb().most;
  for (
    const path of ["/api/results", "/api/trpc/results.push", "/api/trpc/results.push,results.push?batch=1"]
  ) {
    const statuses = await all(path);
    // 0: the hub refused the body and the connection closed before the response was read.
    expect([path, statuses.filter((status) => status !== 401 && status !== 0)]).toEqual([path, []]);
  }
  const { now, most } = hub.residentMb();
  console.log(
    `16 anonymous bodies of 60 MiB, three times: ${before} MB before, ${most} MB at most, ${now} MB after`,
  );
  expect(most - before).toBeLessThan(USUAL_MB);
});

test("16 permitted bodies of 60 MiB share the memory set by BODY_MEMORY", async () => {
  const before = hub.residentMb().most;
  const statuses = await all("/api/results", [`authorization: Bearer ${hub.token}`]);
  const { now, most } = hub.residentMb();
  console.log(
    `16 permitted bodies of 60 MiB: ${before} MB before, ${most} MB at most, ${now} MB after: ${statuses}`,
  );
  expect(most - before).toBeLessThan(USUAL_MB + COPIES * ROOM / 1e6);
  const live = await fetch(`http://127.0.0.1:${hub.port}/api/health/live`);
  expect([live.status, await live.json()]).toEqual([200, { status: "ok" }]);
});

test("with the hub's own flags silent connections are closed, and 500 at once take little memory", async () => {
  const before = hub.residentMb().now;
  const silent = await Promise.all(
    Array.from({ length: 500 }, () => Deno.connect({ hostname: "127.0.0.1", port: hub.port })),
  );
  const closed = silent.map(async (connection) => {
    const count = await connection.read(new Uint8Array(10)).catch(() => null);
    connection.close();
    return count;
  });
  const answer = await fetch(`http://127.0.0.1:${hub.port}/api/tests`);
  expect([answer.status, await answer.json()]).toEqual([200, { items: [], nextCursor: null }]);
  expect(new Set(await Promise.all(closed))).toEqual(new Set([null]));
  console.log(`500 silent connections: ${before} MB before, ${hub.residentMb().now} MB after`);
  expect(await hub.log()).not.toContain("cannot limit");
});
