import { afterAll, beforeAll, expect, test as plainTest } from "vitest";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { makeCertificates } from "../../helpers/certificates.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";
import { hasProgram, requires } from "../../helpers/require.ts";
import { openProxy, type TcpProxy } from "../../helpers/tcp_proxy.ts";

const isThere = hasProgram("openssl");
const test = requires("openssl", isThere, "install openssl") as typeof plainTest;
let database: TestDatabase;
/** A server with TLS, with a certificate of an unknown authority, and a server without TLS. */
let secure: TcpProxy;
let plain: TcpProxy;
let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir();
  database = await testDatabase();
  plain = await openProxy(database.url);
  if (!isThere) return;
  const { cert, key } = await makeCertificates(folder);
  secure = await openProxy(database.url, {
    tls: { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) },
  });
});
afterAll(async () => {
  await Promise.all([secure?.close(), plain.close()]);
  await database.drop();
  await Deno.remove(folder, { recursive: true });
});

function open(proxy: TcpProxy, sslmode: string): Db {
  const url = new URL(proxy.url);
  url.searchParams.set("sslmode", sslmode);
  return openDatabase(url.href, { max: 1, limits: { askMs: 300 } });
}

test.each(["require", "prefer", "allow"])("sslmode=%s uses TLS if the server supports it", async (mode) => {
  const sql = open(secure, mode);
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  // Silent connections are also detected with TLS.
  secure.freeze();
  await expect(sql`select 2`).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
  expect(await sql`select 3 as three`).toEqual([{ three: 3 }]);
  await sql.end({ timeout: 1 });
});

test.each(["verify-full", "verify-ca", "odd"])(
  "sslmode=%s rejects a certificate that it cannot verify",
  async (mode) => {
    const sql = open(secure, mode);
    for (let at = 0; at < 3; at++) await expect(sql`select 1`).rejects.toThrow(/certificate/);
    await sql.end({ timeout: 1 });
  },
);

plainTest(
  "a server without TLS is accepted if TLS is preferred, and rejected each time if TLS is required",
  async () => {
    for (const mode of ["disable", "allow", "prefer"]) {
      const sql = open(plain, mode);
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
      await sql.end({ timeout: 1 });
    }
    for (const mode of ["require", "verify-full"]) {
      const sql = open(plain, mode);
      for (let at = 0; at < 3; at++) await expect(sql`select 1`).rejects.toThrow(/does not support TLS/);
      await sql.end({ timeout: 1 });
    }
  },
);
