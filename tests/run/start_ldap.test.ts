import { afterAll, beforeAll, expect } from "vitest";
import { HOME } from "../helpers/app.ts";
import { freePort, until } from "../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { BASE, PASSWORD, type Slapd, startSlapd } from "../helpers/slapd.ts";

const isThere = ["slapd", "slapadd", "ldapmodify", "openssl"].every(hasProgram);
const test = requires("slapd", isThere, "apt-get install slapd ldap-utils openssl");

let slapd: Slapd;
let database: TestDatabase;
let folder: string;
beforeAll(async () => {
  if (!isThere) return;
  slapd = await startSlapd();
  database = await testDatabase();
  folder = await Deno.makeTempDir({ prefix: "chub-ldap-" });
  await Deno.writeTextFile(`${folder}/password`, slapd.service.password);
});
afterAll(async () => {
  if (!isThere) return;
  await database.drop();
  await slapd.remove();
  await Deno.remove(folder, { recursive: true });
});

test("with its own permission flags the hub signs users in by StartTLS and by ldaps", async () => {
  for (const server of [slapd.ldap, slapd.ldaps]) {
    const port = freePort();
    const hub = new Deno.Command("sh", {
      args: ["run/start.sh"],
      cwd: HOME,
      env: {
        CHUB_DENO: Deno.execPath(),
        PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`,
        PORT: String(port),
        DATA_DIR: `${folder}/data`,
        DATABASE_URL: database.url,
        VRL_URL: "http://127.0.0.1:9",
        LDAP_URL: server,
        LDAP_STARTTLS: "true",
        LDAP_CA_FILE: slapd.certificates.ca,
        LDAP_SEARCH_BASE: `ou=people,${BASE}`,
        LDAP_SERVICE_DN: slapd.service.dn,
        LDAP_SERVICE_PASSWORD_FILE: `${folder}/password`,
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const output = new Response(hub.stderr).text();
    try {
      const url = `http://127.0.0.1:${port}`;
      await until(
        () =>
          fetch(`${url}/api/health/ready`).then(
            async (answer) => (await answer.body?.cancel(), answer.ok),
            () => false,
          ),
        Boolean,
      );
      const response = await fetch(`${url}/api/auth/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: "ada", password: PASSWORD }),
      });
      expect([response.status, (await response.json()).name]).toEqual([200, "ada"]);
    } finally {
      hub.kill("SIGTERM");
      const { code } = await hub.status;
      expect([code, await output]).toEqual([0, expect.not.stringContaining('"level":"error"')]);
    }
  }
});
