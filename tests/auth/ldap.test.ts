import { afterAll, beforeAll, expect, test as plainTest } from "vitest";
import { createDirectory, type LdapSettings } from "../../auth/ldap.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { BASE, PASSWORD, type Slapd, startSlapd } from "../helpers/slapd.ts";

const isThere = ["slapd", "slapadd", "ldapmodify", "openssl"].every(hasProgram);
const test = requires("slapd", isThere, "apt-get install slapd ldap-utils openssl");

let slapd: Slapd;
beforeAll(async () => {
  if (isThere) slapd = await startSlapd();
});
afterAll(() => slapd?.remove());

async function settings(more: Partial<LdapSettings> = {}): Promise<LdapSettings> {
  return {
    urls: [slapd.ldaps],
    ca: await Deno.readTextFile(slapd.certificates.ca),
    bindTemplate: undefined,
    searchBase: `ou=people,${BASE}`,
    userFilter: "(&(objectClass=inetOrgPerson)(uid={user})(!(pwdAccountLockedTime=*)))",
    userAttribute: "uid",
    service: slapd.service,
    groupBase: `ou=groups,${BASE}`,
    groupFilter: "(&(objectClass=groupOfNames)(member={dn}))",
    timeoutMs: 30_000,
    ...more,
  };
}

const directory = async (more: Partial<LdapSettings> = {}) => createDirectory(await settings(more));

test("a valid name and password return the person and groups, by ldaps and StartTLS, by search and by template", async () => {
  const template = `uid={user},ou=people,${BASE}`;
  for (
    const more of [
      {},
      { urls: [slapd.ldap] },
      { bindTemplate: template },
      { bindTemplate: template, urls: [slapd.ldap], service: undefined },
    ]
  ) {
    const hub = await directory(more);
    const ada = await hub.signIn("ada", PASSWORD);
    expect(ada).toMatchObject({ name: "ada", dn: `uid=ada,ou=people,${BASE}` });
    expect(ada!.groups).toContain("hub-admins");
    expect(ada!.groups).toContain(`cn=hub-admins,ou=groups,${BASE}`);
    expect(await hub.signIn("ADA", PASSWORD)).toMatchObject({ name: "ada" });
    expect(await hub.signIn("eve", PASSWORD)).toMatchObject({ name: "eve", groups: [] });
  }
});

test("wrong, empty and unknown names or passwords are refused", async () => {
  for (const more of [{}, { bindTemplate: `uid={user},ou=people,${BASE}` }]) {
    const hub = await directory(more);
    for (
      const [name, password] of [
        ["ada", "wrong"],
        ["ada", ""],
        ["ada", "\0"],
        ["ada", "x".repeat(5000)],
        ["nobody", PASSWORD],
        ["", PASSWORD],
        ["", ""],
        ["ada\n", PASSWORD],
        ["a".repeat(200), PASSWORD],
      ] as const
    ) expect([name, await hub.signIn(name, password)]).toEqual([name, undefined]);
  }
});

test("names with special characters of filters and DNs work and do not widen a search", async () => {
  for (const more of [{}, { bindTemplate: `uid={user},ou=people,${BASE}` }]) {
    const hub = await directory(more);
    for (
      const name of [
        "*",
        "a*",
        ")(uid=*",
        "ada)(uid=*",
        "ada)(&(uid=*",
        "\\00",
        "\\61da",
        "ada,ou=people",
        `ada,ou=people,${BASE}`,
        ",ou=",
        "+cn=ada",
        "ada\\",
        "$&",
        "{dn}",
      ]
    ) expect([name, await hub.signIn(name, PASSWORD)]).toEqual([name, undefined]);
    for (const name of ["we(i)rd*", "com,ma"]) {
      expect(await hub.signIn(name, PASSWORD)).toMatchObject({ name });
    }
    expect((await hub.signIn("com,ma", PASSWORD))!.groups).toContain("hub-submitters");
  }
});

test("locked accounts and expired passwords cannot sign in, and a recheck does not find locked accounts", async () => {
  const hub = await directory();
  expect(await hub.find("mal")).toMatchObject({ name: "mal" });
  await slapd.modify(
    `dn: uid=mal,ou=people,${BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
  );
  expect(await hub.signIn("mal", PASSWORD)).toBeUndefined();
  expect(await (await directory({ userFilter: "(uid={user})" })).signIn("mal", PASSWORD)).toBeUndefined();
  expect(await hub.find("mal")).toBeUndefined();
  await slapd.modify(
    `dn: uid=old,ou=people,${BASE}\nchangetype: modify\nreplace: userPassword\nuserPassword: ${PASSWORD}\n-\nadd: pwdPolicySubentry\npwdPolicySubentry: cn=short,${BASE}\n`,
  );
  await expect.poll(() => hub.signIn("old", PASSWORD), { interval: 200 }).toBeUndefined();
});

test("removed groups are missing at the next read", async () => {
  const hub = await directory();
  expect((await hub.find("bob"))!.groups).toContain("hub-submitters");
  await slapd.modify(
    `dn: cn=hub-submitters,ou=groups,${BASE}\nchangetype: modify\ndelete: member\nmember: uid=bob,ou=people,${BASE}\n`,
  );
  expect((await hub.find("bob"))!.groups).toEqual([]);
  expect(await hub.find("nobody")).toBeUndefined();
});

/** Forwards bytes to slapd, but rejects StartTLS as a man in the middle would, or hangs up after it. */
function middleman(how: "strip" | "hang up" | "silent") {
  const seen: Uint8Array[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const from of listener) {
      (async () => {
        for (let count = 0;; count++) {
          const buffer = new Uint8Array(4096);
          const size = await from.read(buffer).catch(() => null);
          if (size === null) return from.close();
          seen.push(buffer.slice(0, size));
          if (how === "silent") continue;
          // An extended response to message 1 (or 2): success for `hang up`, protocolError to strip it.
          const id = buffer[4]!;
          const code = how === "strip" ? 2 : 0;
          await from.write(new Uint8Array([0x30, 12, 2, 1, id, 0x78, 7, 10, 1, code, 4, 0, 4, 0]));
          if (how === "hang up") return from.close();
        }
      })().catch(() => {});
    }
  })();
  return {
    url: `ldap://localhost:${(listener.addr as Deno.NetAddr).port}`,
    connections: () => seen.length,
    text: () => seen.map((bytes) => new TextDecoder("latin1").decode(bytes)).join(""),
    async close() {
      listener.close();
      await serving;
    },
  };
}

test.each(["strip", "hang up", "silent"] as const)(
  "a man in the middle who makes StartTLS fail (%s) gets no password",
  async (how) => {
    const middle = middleman(how);
    try {
      for (const more of [{}, { bindTemplate: `uid={user},ou=people,${BASE}` }]) {
        // The silent server is waited for; the others answer.
        const timeoutMs = how === "silent" ? 2000 : 30_000;
        const hub = await directory({ urls: [middle.url], timeoutMs, ...more });
        await expect(hub.signIn("ada", PASSWORD)).rejects.toMatchObject({ code: "SERVICE_UNAVAILABLE" });
      }
      expect(middle.connections()).toBeGreaterThan(0);
      expect(middle.text()).not.toContain(PASSWORD);
      expect(middle.text()).not.toContain("reading");
    } finally {
      await middle.close();
    }
  },
);

test("a certificate of an unknown authority or for another host ends the connection before a password is sent", async () => {
  for (const urls of [[slapd.ldaps], [slapd.ldap]]) {
    const other = await Deno.readTextFile(slapd.certificates.otherCa);
    for (const ca of [undefined, other]) {
      const hub = await directory({ urls, ca });
      await expect(hub.signIn("ada", PASSWORD)).rejects.toMatchObject({ code: "SERVICE_UNAVAILABLE" });
    }
  }
  await slapd.kill();
  await slapd.start({ cert: slapd.certificates.elsewhereCert, key: slapd.certificates.elsewhereKey });
  for (const urls of [[slapd.ldaps], [slapd.ldap]]) {
    await expect((await directory({ urls })).signIn("ada", PASSWORD)).rejects.toMatchObject({
      code: "SERVICE_UNAVAILABLE",
    });
  }
  await slapd.kill();
  await slapd.start();
  expect(await (await directory()).signIn("ada", PASSWORD)).toMatchObject({ name: "ada" });
});

test("if a server is unreachable the next is tried, and a refusal is final", async () => {
  const unreachable = "ldaps://localhost:1";
  const hub = await directory({ urls: [unreachable, slapd.ldaps] });
  expect(await hub.signIn("ada", PASSWORD)).toMatchObject({ name: "ada" });
  expect(await hub.signIn("ada", "wrong")).toBeUndefined();
  const unreachableHub = await directory({ urls: [unreachable, "ldap://localhost:1"] });
  await expect(unreachableHub.signIn("ada", PASSWORD)).rejects.toMatchObject({
    code: "SERVICE_UNAVAILABLE",
    retryAfter: 10,
  });
});

test("while a directory restarts under load, each sign-in succeeds, is refused or is a 503, and is never wrong", async () => {
  const hub = await directory({ timeoutMs: 10_000 });
  let isOver = false;
  const outcomes = new Map<string, number>();
  const load = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const outcome = await hub.signIn("ada", PASSWORD).then(
        (person) => person?.name ?? "refused",
        (error) => error.code,
      );
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  });
  await expect.poll(() => outcomes.get("ada") ?? 0).toBeGreaterThan(5);
  await slapd.kill();
  await expect.poll(() => outcomes.get("SERVICE_UNAVAILABLE") ?? 0).toBeGreaterThan(3);
  await slapd.start();
  const before = outcomes.get("ada")!;
  await expect.poll(() => outcomes.get("ada")!).toBeGreaterThan(before + 5);
  isOver = true;
  await Promise.all(load);
  expect([...outcomes.keys()].toSorted()).toEqual(["SERVICE_UNAVAILABLE", "ada"]);
});

plainTest("a DN's special characters are escaped as in RFC 4514", async () => {
  const { escapeDn } = await import("../../auth/ldap_escape.ts");
  expect(escapeDn(' a,b+c"d\\e<f>g;h=i#j\0 ')).toBe(
    "\\20a\\2cb\\2bc\\22d\\5ce\\3cf\\3eg\\3bh\\3di\\23j\\00\\20",
  );
});
