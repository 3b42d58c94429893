import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { databaseFault } from "../../../db/core/connection_errors.ts";
import { follow } from "../../../db/core/leftovers.ts";
import { Exchange } from "../../../db/core/protocol.ts";
import { until } from "../../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";
import { openProxy, type TcpProxy } from "../../helpers/tcp_proxy.ts";

let database: TestDatabase;
let proxy: TcpProxy;
beforeAll(async () => {
  database = await testDatabase();
  proxy = await openProxy(database.url);
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

/** Returns the first statement that is answered: only its rows could follow a gap. */
async function firstAnswer(sql: Db): Promise<unknown[]> {
  const rows = await until(() => sql`select 1 as one`.catch(() => undefined), (found) => found !== undefined);
  return [...rows!];
}

test.each<[string, (pid: number) => unknown]>([
  ["the end of its server's process", (pid) => database.sql`select pg_terminate_backend(${pid})`],
  ["the loss of its network", () => proxy.reset()],
  ["a cancellation", (pid) => database.sql`select pg_cancel_backend(${pid})`],
])(
  "an answer interrupted by %s among its rows leaves no gap in the next answer",
  async (_by, end) => {
    const sql = openDatabase(proxy.url, { max: 1 });
    const [own] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`;
    // The rows before the last are sent while the server sleeps.
    const lost = sql`
    select repeat('x', 100000) as long, case when n = 5 then pg_sleep(3600) end as slept
    from generate_series(1, 5) as n`.then(() => undefined, (error) => databaseFault(error)?.status);
    await expect.poll(async () => {
      const [row] = await database.sql`select wait_event from pg_stat_activity where pid = ${own.pid}`;
      return row?.wait_event;
    }).toBe("PgSleep");
    await end(own.pid);
    expect(await lost).toBe(503);
    expect(await firstAnswer(sql)).toEqual([{ one: 1 }]);
    await sql.end();
    await database.sql`select pg_terminate_backend(${own.pid})`;
  },
);

/** Encodes a server message. */
function message(letter: string, content = ""): Buffer {
  const bytes = Buffer.alloc(5 + content.length);
  bytes.write(letter);
  bytes.writeUInt32BE(4 + content.length, 1);
  bytes.write(content, 5);
  return bytes;
}

test("each error is preceded by an end of statement, and nothing else changes, however the bytes are split", () => {
  const started = [message("R", "\0\0\0\0"), message("Z", "I")];
  const row = message("D", "E\0\0\0\x05EEEE");
  const error = message("E", "SERROR\0C57014\0\0");
  const rest = [message("Z", "I"), row, message("C", "SELECT 1\0"), error, message("Z", "E")];
  const end = message("C", "\0");
  const sent = Buffer.concat([...started, row, row, error, ...rest]);
  const expected = Buffer.concat([
    ...started,
    row,
    row,
    end,
    error,
    ...rest.slice(0, 3),
    end,
    ...rest.slice(3),
  ]);
  for (let first = 0; first <= sent.length; first++) {
    for (let second = first; second <= sent.length; second++) {
      const socket = new EventEmitter() as Socket;
      follow(socket, new Exchange());
      const received: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => received.push(chunk));
      for (const piece of [sent.subarray(0, first), sent.subarray(first, second), sent.subarray(second)]) {
        socket.emit("data", piece);
      }
      expect(Buffer.concat(received).equals(expected)).toBe(true);
    }
  }
});

test("an error that rejects a connection or a copy is passed on unchanged", () => {
  const error = message("E", "SFATAL\0C28000\0\0");
  for (const before of [[message("R", "\0\0\0\0")], [message("Z", "I"), message("G", "\0\0\0")]]) {
    const socket = new EventEmitter() as Socket;
    follow(socket, new Exchange());
    const received: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.emit("data", Buffer.concat([...before, error]));
    expect(Buffer.concat(received)).toEqual(Buffer.concat([...before, error]));
  }
});
