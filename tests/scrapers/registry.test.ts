import { expect, test } from "vitest";
import { checkPath, checkUrl } from "../../scrapers/http/read_policy.ts";
import { createContext } from "../../scrapers/core/context.ts";
import { checkSettings, createRegistry, getScraper, scrapers } from "../../scrapers/mod.ts";
import { PushScraper } from "../../scrapers/push.ts";
import { allowance } from "../helpers/lab_server.ts";

test("a tag registered twice is an error; an unknown tag lists the known ones", () => {
  expect(() => createRegistry([new PushScraper(), new PushScraper()])).toThrow('"push"');
  const tags = ["vrl", "files", "buildbot", "jenkins", "gitlab", "github", "lnt", "json", "push"];
  expect([...scrapers.keys()]).toEqual(tags);
  expect(() => getScraper("nope")).toThrow(`use one of ${tags.join(", ")}`);
  expect(() => getScraper("__proto__")).toThrow("use one of");
});

test("invalid settings are reported by place when the test is created", async () => {
  await expect(checkSettings("vrl", { tset: "x" }, allowance())).rejects.toMatchObject({
    code: "BAD_REQUEST",
    message: expect.stringContaining("tset"),
  });
  const files = { url: "file:///etc", pattern: "(?<changelist>\\d+)" };
  await expect(checkSettings("files", { ...files, pattern: "(" }, allowance())).rejects.toMatchObject({
    issues: [{ path: "settings.pattern" }],
  });
  await expect(checkSettings("files", files, allowance())).rejects.toThrow("SCRAPE_ROOTS (now: none)");
  await expect(checkSettings("files", { ...files, url: "http://a.test/x" }, allowance())).rejects.toThrow(
    "add it to SCRAPE_HOSTS (now: none)",
  );
  const named = { ...files, url: "http://user:hush@a.test/x" };
  const told = checkSettings("files", named, allowance({ hosts: ["a.test"] }));
  await expect(told).rejects.toThrow("use a secret of SCRAPE_SECRETS instead (host: a.test)");
  await expect(told).rejects.not.toThrow("hush");
  await expect(checkSettings("files", { ...files, environment: { os: "a\0b" } }, allowance())).rejects
    .toMatchObject({ code: "BAD_REQUEST" });
});

test("hosts are allowed with or without port, the lab always, other schemes never", () => {
  const allow = allowance({ hosts: ["a.test", "b.test:81"], labUrl: "http://lab.test:8100" });
  for (
    const url of ["http://a.test/", "https://a.test:9/", "http://b.test:81/", "http://lab.test:8100/jobs"]
  ) {
    expect(checkUrl(allow, url).href).toBe(url);
  }
  const refused = [
    "http://b.test/",
    "http://lab.test/",
    "http://a.test.evil/",
    "http://a.test@evil/",
    "ftp://a.test/",
  ];
  for (const url of [...refused, "nonsense"]) expect(() => checkUrl(allow, url)).toThrow();
});

test("paths are allowed by their real locations", async () => {
  const base = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const folder of ["root/in", "out", "data/drop", "data/pg"]) {
      await Deno.mkdir(`${base}/${folder}`, { recursive: true });
    }
    await Deno.symlink(`${base}/out`, `${base}/root/link`);
    const allow = allowance({ roots: [`${base}/root`, `${base}/data`], dataDir: `${base}/data` });
    expect(await checkPath(allow, `${base}/root/in`)).toBe(`${base}/root/in`);
    expect(await checkPath(allow, `${base}/data/drop`)).toBe(`${base}/data/drop`);
    for (const path of ["out", "root/link", "root/../out", "data/pg", "data", "root2"]) {
      await expect(checkPath(allow, `${base}/${path}`)).rejects.toMatchObject({ code: "BAD_REQUEST" });
    }
    await expect(checkPath(allow, `${base}/root/none`)).rejects.toMatchObject({ code: "NOT_FOUND" });
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});

test("counts of ignored items stay bounded, whatever the reasons", () => {
  const { context, counts } = createContext({
    fetch: () => Promise.reject(new Error("not asked")),
    signal: new AbortController().signal,
    allow: allowance(),
  });
  context.ignore("toString");
  for (let at = 0; at < 1000; at++) context.ignore(`${"x".repeat(500)}${at}`, "p".repeat(9999));
  for (let at = 0; at < 1000; at++) context.ignore(`reason ${at}`);
  expect(counts.ignored.toString).toBe(1);
  expect(counts.ignored["x".repeat(200)]).toBe(1000);
  expect(Object.keys(counts.ignored)).toHaveLength(101);
  expect(Object.values(counts.ignored).reduce((sum, n) => sum + n)).toBe(2001);
  expect(counts.samples).toHaveLength(20);
  expect(counts.samples[1]!.place.length).toBe(300);
});
