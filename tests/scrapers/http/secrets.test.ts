import { afterEach, expect, test } from "vitest";
import { loadConfig } from "../../../config/config.ts";
import { hubPermissions } from "../../../run/permissions.ts";
import { createFetch } from "../../../scrapers/http/fetch.ts";
import { createRateLimits } from "../../../scrapers/http/rate_limits.ts";
import type { SecretBinding } from "../../../scrapers/http/read_policy.ts";
import { allowance, serve } from "../../helpers/lab_server.ts";

const servers: { close(): Promise<void> }[] = [];
const VALUE = "reader:s3cret-value";
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
function serving(...args: Parameters<typeof serve>) {
  const server = serve(...args);
  servers.push(server);
  return server;
}

async function secretIn(text: string, origins: string[]): Promise<SecretBinding> {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, text);
  return { name: "ci", origins, place: file, read: () => Deno.readTextFile(file) };
}

test("a secret is sent in the requested form to the host it is bound to, and its file is read each time", async () => {
  const seen: Record<string, string | null>[] = [];
  const server = serving(({ headers }) => {
    seen.push({ authorization: headers.get("authorization"), token: headers.get("private-token") });
    return new Response("ok");
  });
  const binding = await secretIn(`${VALUE}\n`, [server.url]);
  const fetch = createFetch({ allow: allowance({ hosts: [server.host], secrets: [binding] }) });
  for (const as of ["basic", "bearer", { header: "private-token" }] as const) {
    await (await fetch(server.url, { secret: { name: "ci", as } })).text();
  }
  await (await fetch(server.url)).text();
  expect(seen).toEqual([
    { authorization: `Basic ${btoa(VALUE)}`, token: null },
    { authorization: `Bearer ${VALUE}`, token: null },
    { authorization: null, token: VALUE },
    { authorization: null, token: null },
  ]);
  await Deno.writeTextFile(binding.place, "turned");
  await (await fetch(server.url, { secret: { name: "ci", as: "bearer" } })).text();
  expect(seen.at(-1)!.authorization).toBe("Bearer turned");
});

test("a redirect keeps the secret within its origin and drops it for another, even one it is bound to", async () => {
  const seen: string[] = [];
  const far = serving(({ headers }) => {
    seen.push(`far ${headers.get("authorization")}`);
    return new Response("zip");
  });
  const near = serving(({ headers }, { pathname }) => {
    seen.push(`near ${headers.get("authorization") === null ? "without" : "with"}`);
    return pathname === "/far"
      ? Response.redirect(far.url)
      : pathname === "/here"
      ? new Response("here")
      : new Response("", { status: 307, headers: { location: "/here" } });
  });
  const binding = await secretIn(VALUE, [near.url, far.url]);
  const fetch = createFetch({
    allow: allowance({ hosts: [near.host, far.host], secrets: [binding] }),
  });
  const secret = { name: "ci", as: "bearer" } as const;
  expect(await (await fetch(`${near.url}/far`, { secret })).text()).toBe("zip");
  expect(await (await fetch(`${near.url}/round`, { secret })).text()).toBe("here");
  expect(seen).toEqual(["near with", "far null", "near with", "near with"]);
});

test("a secret that is unknown, bound elsewhere, empty or of several lines is not sent, and errors do not show it", async () => {
  let asked = 0;
  const server = serving(() => (asked++, new Response("ok")));
  const secret = { name: "ci", as: "bearer" } as const;
  const bound = async (text: string, origin = server.url) =>
    createFetch({ allow: allowance({ hosts: [server.host], secrets: [await secretIn(text, [origin])] }) });
  await expect((await bound(VALUE))(server.url, { secret: { name: "no", as: "basic" } })).rejects
    .toMatchObject({ code: "BAD_REQUEST", message: expect.stringContaining("now: ci") });
  await expect((await bound(VALUE, server.url.replace("http:", "https:")))(server.url, { secret })).rejects
    .toMatchObject({ code: "BAD_REQUEST", message: expect.stringContaining("may not be sent to http://") });
  await expect((await bound("\n"))(server.url, { secret })).rejects
    .toMatchObject({ code: "SERVICE_UNAVAILABLE", message: expect.stringContaining("has no value") });
  const error = await (await bound(`${VALUE}\nx: y`))(server.url, { secret }).catch((error: Error) => error);
  expect(String(error)).toContain("one line of printable ASCII");
  expect(String(error)).not.toContain("s3cret");
  expect(asked).toBe(0);
});

test("settings name secrets, their hosts and the places of their values; the permission flags allow only those", () => {
  const env = { SCRAPE_SECRETS: "ci-x@a.example.org,b.example.org:8443 lab@http://10.0.0.7:8080" };
  const config = loadConfig(env, "/srv/chub");
  expect(config.scrapeSecrets).toEqual([
    {
      name: "ci-x",
      origins: ["https://a.example.org", "https://b.example.org:8443"],
      place: "SCRAPE_SECRET_CI_X",
      read: expect.any(Function),
    },
    {
      name: "lab",
      origins: ["http://10.0.0.7:8080"],
      place: "SCRAPE_SECRET_LAB",
      read: expect.any(Function),
    },
  ]);
  const flags = (config: ReturnType<typeof loadConfig>, flag: string) =>
    hubPermissions(config).filter((one) => one.flag === flag).flatMap((one) => one.values);
  expect(flags(config, "env")).toContain("SCRAPE_SECRET_CI_X");
  const filed = loadConfig({ ...env, SCRAPE_SECRETS_DIR: "secrets/" }, "/srv/chub");
  expect(filed.scrapeSecrets[1]!.place).toBe("/srv/chub/secrets/lab");
  expect(flags(filed, "read")).toContain("/srv/chub/secrets/ci-x");
  for (
    const wrong of ["ci", "@a.org", "ci@", "ci@a.org/path", "ci@ftp://a.org", "c/i@a.org", "ci@u:p@a.org"]
  ) {
    expect(() => loadConfig({ SCRAPE_SECRETS: wrong }, "/srv/chub"), wrong).toThrow("name@host");
  }
});

test("an exhausted rate limit is waited for up to a minute by all callers of the host; beyond that the scrape ends and reports the time", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  let left = 0;
  let reset = 0;
  const server = serving(() =>
    new Response("{}", {
      status: left < 0 ? 403 : 200,
      headers: { "x-ratelimit-remaining": String(Math.max(0, left)), "x-ratelimit-reset": String(reset) },
    })
  );
  const pace = createRateLimits(() => now);
  const waits: number[] = [];
  const make = () =>
    createFetch({
      allow: allowance({ hosts: [server.host] }),
      pace,
      random: () => 1,
      sleep: (ms) => {
        waits.push(ms);
        now += ms;
        left = 5;
        return Promise.resolve();
      },
    });
  reset = now / 1000 + 30;
  await (await make()(server.url)).text();
  await (await make()(server.url)).text();
  expect(waits).toEqual([30_000]);
  [left, reset] = [-1, Math.round(now / 1000) + 3600];
  await expect(make()(server.url)).rejects.toMatchObject({
    code: "TOO_MANY_REQUESTS",
    retryAfter: 3600,
    message: expect.stringContaining("2026-01-01T01:00:30.000Z"),
  });
  expect(waits).toEqual([30_000]);
  now += 3_600_000;
  left = 5;
  expect((await make()(server.url)).status).toBe(200);
});
