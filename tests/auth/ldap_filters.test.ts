import { afterAll, beforeAll, expect, test as plainTest } from "vitest";
import { createDirectory, type Directory } from "../../auth/ldap.ts";
import { HOME, testApp } from "../helpers/app.ts";
import { Browser } from "../helpers/browser.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { BASE, PASSWORD, type Slapd, startSlapd } from "../helpers/slapd.ts";

const isThere = ["slapd", "slapadd", "ldapmodify", "openssl"].every(hasProgram);
const test = requires("slapd", isThere, "apt-get install slapd ldap-utils openssl") as typeof plainTest;

/** The filters of docs/reference/roles.md by directory. */
const FILTERS = [
  ...(await Deno.readTextFile(`${HOME}/docs/reference/roles.md`)).matchAll(/^\| (.*?) *\| `(\(.*\))` *\|$/gm),
]
  .map(([, directory, filter]) => ({ directory: directory!, filter: filter! }));
const ANY = FILTERS.filter(({ directory }) => directory.startsWith("any"));
const POLICY = FILTERS.find(({ directory }) => directory.includes("ppolicy"))!;

let withPolicy: Slapd;
let without: Slapd;
beforeAll(async () => {
  if (isThere) [withPolicy, without] = await Promise.all([startSlapd(), startSlapd({ hasPolicy: false })]);
});
afterAll(() => Promise.all([withPolicy?.remove(), without?.remove()]));

async function directoryOf(slapd: Slapd, filter: string): Promise<Directory> {
  return createDirectory({
    urls: [slapd.ldaps],
    ca: await Deno.readTextFile(slapd.certificates.ca),
    bindTemplate: undefined,
    searchBase: `ou=people,${BASE}`,
    userFilter: filter,
    userAttribute: "uid",
    service: slapd.service,
    groupBase: undefined,
    groupFilter: "(member={dn})",
    timeoutMs: 30_000,
  });
}

plainTest("the docs show filters for any directory and for ppolicy", () => {
  expect([ANY.length, FILTERS.length]).toEqual([2, 4]);
});

test("filters for any directory find people with and without the overlay ppolicy", async () => {
  for (const slapd of [withPolicy, without]) {
    for (const { filter } of ANY) {
      const directory = await directoryOf(slapd, filter);
      expect([filter, await directory.signIn("ada", PASSWORD)]).toEqual([filter, expect.anything()]);
      expect(await directory.signIn("ada", "wrong")).toBeUndefined();
    }
  }
});

test("an account that the filter marks as disabled is not found", async () => {
  const marked = ANY.find(({ filter }) => filter.includes("employeeType"))!;
  for (const slapd of [withPolicy, without]) {
    await slapd.modify(
      `dn: uid=old,ou=people,${BASE}\nchangetype: modify\nreplace: employeeType\nemployeeType: disabled\n`,
    );
    expect(await (await directoryOf(slapd, marked.filter)).find("old")).toBeUndefined();
  }
});

test("the filter for ppolicy finds people with the overlay, and without it no entry, with a reason", async () => {
  expect(await (await directoryOf(withPolicy, POLICY.filter)).signIn("ada", PASSWORD)).toBeDefined();
  const reasons: string[] = [];
  const directory = await directoryOf(without, POLICY.filter);
  expect(await directory.signIn("ada", PASSWORD, (reason) => reasons.push(reason))).toBeUndefined();
  expect(reasons).toEqual([
    expect.stringMatching(/LDAP_USER_FILTER .*pwdAccountLockedTime.* finds no entry.*schema/),
  ]);
});

test("each refused sign-in is logged with its reason, but without name or password", async () => {
  const secretFile = await Deno.makeTempFile();
  await Deno.writeTextFile(secretFile, `${without.service.password}\n`);
  const app = await testApp({
    TRUST_PROXY: "127.0.0.1",
    LDAP_URL: without.ldaps,
    LDAP_CA_FILE: without.certificates.ca,
    LDAP_SEARCH_BASE: `ou=people,${BASE}`,
    LDAP_SERVICE_DN: without.service.dn,
    LDAP_SERVICE_PASSWORD_FILE: secretFile,
    LDAP_TIMEOUT: "30",
  });
  const cases = [
    ["ada", "a wrong secret", /refuses the password: InvalidCredentials \(49\)/],
    ["typed-name", "a wrong secret", /finds no entry/],
    ["ada\u007f", "a wrong secret", /control characters/],
  ] as const;
  try {
    for (const [name, password, reason] of cases) {
      const logged = app.logged.length;
      expect((await new Browser(app).signIn(name, password)).status).toBe(401);
      const lines = app.logged.slice(logged);
      expect(lines).toEqual([expect.stringMatching(reason)]);
      expect(JSON.parse(lines[0]!)).toEqual(["a sign-in was refused", {
        reason: expect.any(String),
        address: expect.any(String),
        requestId: expect.any(String),
      }]);
      expect(lines[0]).not.toMatch(/typed-name|wrong secret|"ada/);
    }
  } finally {
    await app.close();
    await Deno.remove(secretFile);
  }
});
