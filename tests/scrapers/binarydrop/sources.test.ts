import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HubError } from "../../../errors.ts";
import { parseIndex } from "../../../scrapers/binarydrop/autoindex.ts";
import { parseBucketPage } from "../../../scrapers/binarydrop/bucket.ts";
import { openSource, scanDrop, type ScanEvent } from "../../../scrapers/binarydrop/scan.ts";
import { createFetch } from "../../../scrapers/http/fetch.ts";
import { freePort, until } from "../../helpers/lab.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const samples = Deno.env.get("CHUB_SAMPLES") || undefined;
let folder: string;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-drop-" });
  await Deno.chmod(folder, 0o755);
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => Deno.remove(folder, { recursive: true }));

function fetchOf(host: string) {
  return createFetch({
    allow: { hosts: [host], roots: [], dataDir: "/nowhere", labUrl: undefined, secrets: [] },
    attempts: 1,
  });
}

async function scan(url: string, host = ""): Promise<ScanEvent[]> {
  const signal = AbortSignal.timeout(120_000);
  const source = await openSource(url, { fetch: fetchOf(host), signal });
  return await Array.fromAsync(scanDrop(source, { signal, isScanned: () => true, known: () => undefined }));
}

function builds(events: ScanEvent[]): string[] {
  return events.flatMap((event) =>
    event.kind === "builds"
      ? event.builds.map((build) =>
        `${event.package.name} ${build.changelist}.${build.revision} ${build.size}`
      )
      : []
  ).sort();
}

function serve(answer: (request: Request) => Response): string {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  closing.push(() => server.shutdown());
  return `127.0.0.1:${server.addr.port}`;
}

async function tree(name: string): Promise<string> {
  const root = `${folder}/${name}`;
  await Deno.mkdir(`${root}/a_main_Release_x/77`, { recursive: true });
  await Deno.mkdir(`${root}/b`, { recursive: true });
  await Deno.writeTextFile(`${root}/a_main_Release_x/SW_5_a_main_Release_x.tgz`, "12345");
  await Deno.writeTextFile(`${root}/a_main_Release_x/SW_6.2_a_main_Release_x.zip`, "");
  await Deno.writeTextFile(`${root}/a_main_Release_x/notes & more.txt`, "");
  await Deno.writeTextFile(`${root}/stray.txt`, "");
  return root;
}

test("a folder: both layouts, strays reported, looping and outside links not followed", async () => {
  const root = await tree("plain");
  await Deno.symlink("/etc", `${root}/outside`);
  await Deno.symlink(root, `${root}/loop`);
  await Deno.symlink(`${root}/a_main_Release_x`, `${root}/a_main_Release_x/loop`);
  const events = await scan(`file://${root}`);
  expect(builds(events)).toEqual([
    "a_main_Release_x 5.0 null",
    "a_main_Release_x 6.2 null",
    "a_main_Release_x 77.0 null",
  ]);
  expect(events.filter((event) => event.kind === "unread").map((event) => event.package.name).sort()).toEqual(
    ["loop", "outside"],
  );
  expect(events.filter((event) => event.kind === "stray").map((event) => event.unparsed.place)).toEqual([
    "stray.txt",
  ]);
  const unparsed = events.flatMap((event) =>
    event.kind === "builds" ? event.unparsed.map((one) => one.place) : []
  );
  expect(unparsed.sort()).toEqual(["a_main_Release_x/loop", "a_main_Release_x/notes & more.txt"]);
  await expect(scan(`file://${root}/nowhere`)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a name in invalid UTF-8 is reported, and the rest is read", async () => {
  const root = await tree("bytes");
  await new Deno.Command("sh", {
    args: ["-c", `printf x > "$(printf '${root}/b/SW_9_b\\377.tgz')"; printf x > ${root}/b/SW_9_b.tgz`],
  }).output();
  const events = await scan(`file://${root}`);
  expect(builds(events)).toContain("b 9.0 null");
  expect(
    events.some((event) =>
      event.kind === "builds" && event.unparsed.some((one) => one.reason === "is not valid UTF-8")
    ),
  ).toBe(true);
});

requires("nginx", hasProgram("nginx"), "apt-get install nginx-light")(
  "a real nginx's index reads like the folder it shows, with sizes",
  async () => {
    const root = await tree("served");
    const port = freePort();
    const work = `${folder}/nginx`;
    await Deno.mkdir(work);
    const conf = `${
      Deno.uid() === 0 ? "user root;" : ""
    } pid ${work}/pid; error_log ${work}/error.log; events {} http { access_log off; client_body_temp_path ${work}/b; proxy_temp_path ${work}/p; fastcgi_temp_path ${work}/f; uwsgi_temp_path ${work}/u; scgi_temp_path ${work}/s; server { listen 127.0.0.1:${port}; root ${root}; autoindex on; autoindex_exact_size on; } }`;
    await Deno.writeTextFile(`${work}/nginx.conf`, conf);
    const nginx = new Deno.Command("nginx", {
      args: ["-c", `${work}/nginx.conf`, "-g", "daemon off;"],
      env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin` },
      stdout: "null",
      stderr: "null",
    }).spawn();
    closing.push(async () => {
      nginx.kill("SIGTERM");
      await nginx.status;
    });
    const host = `127.0.0.1:${port}`;
    await until(
      () =>
        fetch(`http://${host}/`).then(async (response) => (await response.body?.cancel(), true), () => false),
      (up) => up,
    );
    expect(builds(await scan(`http://${host}`, host))).toEqual([
      "a_main_Release_x 5.0 5",
      "a_main_Release_x 6.2 0",
      "a_main_Release_x 77.0 null",
    ]);
  },
);

test("an index that is truncated, fails or is no index leaves the package unread; for the root it fails the scan", async () => {
  const index = (links: string) => `<html><body><pre>${links}</pre></body></html>`;
  const html = { headers: { "content-type": "text/html" } };
  const host = serve((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/") {
      return new Response(
        index(
          '<a href="cut/">cut/</a> <a href="bad/">bad/</a> <a href="odd/">odd/</a> <a href="http://evil/">x</a> <a href="../">..</a>',
        ),
        html,
      );
    }
    if (pathname === "/cut/") return new Response('<html><body><pre><a href="SW_1_cut.tgz">SW', html);
    if (pathname === "/bad/") return new Response("no", { status: 500 });
    return new Response("just text");
  });
  const events = await scan(`http://${host}`, host);
  expect(events.map((event) => event.kind)).toEqual(["unread", "unread", "unread"]);
  const failing = serve(() => new Response("<html><body><pre>", html));
  await expect(scan(`index+http://${failing}`, failing)).rejects.toThrow("truncated");
});

test("a bucket is read page by page; a repeated page is an error", async () => {
  const page = (body: string) =>
    new Response(
      `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${body}</ListBucketResult>`,
    );
  const prefix = (name: string) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`;
  const object = (key: string) => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`;
  const host = serve((request) => {
    const query = new URL(request.url).searchParams;
    const token = query.get("continuation-token");
    if (query.get("prefix") === "p/") {
      return page(
        token === null
          ? `${
            object("p/SW_1_p.tgz")
          }<IsTruncated>true</IsTruncated><NextContinuationToken>two</NextContinuationToken>`
          : object("p/SW_2_p.tgz"),
      );
    }
    if (query.get("prefix") === "q/") {
      return page(
        `${
          object("q/SW_1_q.tgz")
        }<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>`,
      );
    }
    return page(prefix("p/") + prefix("q/"));
  });
  const events = await scan(`s3+http://${host}`, host);
  expect(builds(events)).toEqual(expect.arrayContaining(["p 1.0 7", "p 2.0 7"]));
  expect(events.filter((event) => event.kind === "unread")).toMatchObject([{
    package: { name: "q" },
    reason: expect.stringContaining("twice"),
  }]);
  for (
    const bad of [
      "",
      "<html/>",
      "<ListBucketResult><Contents>",
      '<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>',
    ]
  ) {
    expect(() => parseBucketPage(bad), bad).toThrow(HubError);
  }
});

requires("the samples", samples !== undefined, "set CHUB_SAMPLES")(
  "the sample listings have the entries that were counted",
  async () => {
    const { samples: all } = JSON.parse(await Deno.readTextFile(`${samples}/manifest.json`)) as {
      samples: { file: string; cases: number }[];
    };
    const listings = all.filter((sample) => /^listing\/.*\.(?:html|xml)$/.test(sample.file));
    expect(listings.length).toBeGreaterThan(3);
    for (const { file, cases } of listings) {
      const text = await Deno.readTextFile(`${samples}/${file}`);
      const base = /<title>Index of (\/[^<]*)<\/title>/.exec(text)?.[1] ?? "/";
      const count = file.endsWith(".xml")
        ? parseBucketPage(text).prefixes.length + parseBucketPage(text).objects.length
        : parseIndex(text, `http://host${base}`).entries.length;
      expect(count, file).toBe(cases);
    }
  },
);

test("links are found in every way of writing them", () => {
  const names = (html: string) => parseIndex(html, "http://h/x/").entries.map(({ name }) => name);
  expect(names(`<A title='>' HREF = "a b">a</A><a\nhref=c/ class=d>x</a><a data-href="no" href='e&amp;f'>`))
    .toEqual(["a b", "c", "e&f"]);
  // An unclosed quote is a plain character.
  expect(names(`<a href='a><a href=b>`)).toEqual(["'a", "b"]);
  expect(names(`<abbr href=a><a><a href><a href=><a href=b`)).toEqual([]);
});

test("an entry's size and time are those after its own link", () => {
  const html =
    `<a href="a"></a> 24-Nov-2026 01:53 7\n<a href="b"></a>\n<a href="c"></a>  2026-11-24 01:53  1.2K`;
  expect(parseIndex(html, "http://h/x/").entries).toEqual([
    { name: "a", isFolder: false, size: 7, modified: Date.UTC(2026, 10, 24, 1, 53) },
    { name: "b", isFolder: false, size: null, modified: null },
    { name: "c", isFolder: false, size: null, modified: Date.UTC(2026, 10, 24, 1, 53) },
  ]);
});
