import { afterAll, beforeAll, expect } from "vitest";
import { SETTINGS } from "../../../config/config.ts";
import { HOME, type TestApp, testApp } from "../../helpers/app.ts";
import { type Certificates, makeCertificates } from "../../helpers/certificates.ts";
import { freePort, until } from "../../helpers/lab.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const isThere = hasProgram("nginx") && hasProgram("openssl");
const test = requires("nginx", isThere, "apt-get install nginx-light openssl");
const env = { PATH: `${Deno.env.get("PATH")}:/usr/sbin` };

let folder: string;
let app: TestApp;
let certificates: Certificates;
let nginx: Deno.ChildProcess;
let hub: Deno.HttpServer | undefined;
let client: Deno.HttpClient;
const ports = { hub: freePort(), http: freePort(), https: freePort() };
const url = `https://localhost:${ports.https}`;

/** The shipped file, with this test's ports and folders. */
async function configOf(): Promise<string> {
  const file = await Deno.readTextFile(`${HOME}/run/deploy/nginx.conf`);
  const changes: [string, string][] = [
    ["127.0.0.1:8000", `127.0.0.1:${ports.hub}`],
    ["client_max_body_size 2147483647", `client_max_body_size ${30 << 20}`],
    ["listen 80;", `listen 127.0.0.1:${ports.http};`],
    ["listen 443 ssl", `listen 127.0.0.1:${ports.https} ssl`],
    ["/opt/chub/current/web/dist", `${folder}/web`],
    ["/etc/chub/tls/fullchain.pem", certificates.cert],
    ["/etc/chub/tls/privkey.pem", certificates.key],
  ];
  const changed = changes.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  }, file);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  ).join(" ");
  return `${Deno.uid() === 0 ? "user root;" : ""} pid ${folder}/pid; error_log ${folder}/error.log; events {}
    http { access_log off; types { text/html html; text/javascript js; } ${temporary} ${changed} }`;
}

function startHub(): void {
  hub = Deno.serve(
    { hostname: "127.0.0.1", port: ports.hub, onListen: () => {} },
    async (request, info) => {
      if (new URL(request.url).pathname === "/api/events") return events();
      return await app.fetch(request, { remote: (info.remoteAddr as Deno.NetAddr).hostname });
    },
  );
}

let send: (text: string) => void;
/** Streams events as the hub would. */
function events(): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      send = (text) => controller.enqueue(new TextEncoder().encode(text));
      send("data: first\n\n");
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "x-accel-buffering": "no" } });
}

beforeAll(async () => {
  if (!isThere) return;
  folder = await Deno.makeTempDir({ prefix: "chub-nginx-" });
  await Deno.mkdir(`${folder}/web/assets`, { recursive: true });
  await Deno.writeTextFile(`${folder}/web/index.html`, "<!doctype html><title>app</title>");
  await Deno.writeTextFile(`${folder}/web/assets/app-1a2b.js`, "export {};\n".repeat(500));
  certificates = await makeCertificates(folder);
  app = await testApp({ TRUST_PROXY: "127.0.0.1" });
  await Deno.writeTextFile(`${folder}/nginx.conf`, await configOf());
  nginx = new Deno.Command("nginx", {
    args: ["-c", `${folder}/nginx.conf`, "-g", "daemon off;"],
    env,
    stdout: "null",
    stderr: "null",
  }).spawn();
  client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(certificates.ca)] });
  startHub();
  await until(
    () => ask("/api/health/live").then((answer) => answer.status, () => 0),
    (status) => status === 200,
  );
});
afterAll(async () => {
  if (!isThere) return;
  client.close();
  nginx.kill("SIGTERM");
  await nginx.status;
  await hub?.shutdown();
  await app.close();
  await Deno.remove(folder, { recursive: true });
});

async function ask(
  path: string,
  init: RequestInit & { headers?: Record<string, string> } = {},
): Promise<Response> {
  const response = await fetch(url + path, { ...init, client, redirect: "manual" } as RequestInit);
  const isStream = response.headers.get("content-type") === "text/event-stream";
  return isStream ? response : new Response(await response.arrayBuffer(), response);
}

test("the file is valid, and its limits equal the hub's", async () => {
  const { success, stderr } = await new Deno.Command("nginx", {
    args: ["-t", "-c", `${folder}/nginx.conf`],
    env,
  })
    .output();
  expect([success, new TextDecoder().decode(stderr)]).toEqual([
    true,
    expect.stringContaining("test is successful"),
  ]);
  const file = await Deno.readTextFile(`${HOME}/run/deploy/nginx.conf`);
  const limits = [...file.matchAll(/client_max_body_size (\d+);/g)].map((match) => match[1]);
  expect(limits).toEqual([
    SETTINGS.JSON_LIMIT.default,
    SETTINGS.UPLOAD_LIMIT.default,
    SETTINGS.PUSH_JSON_LIMIT.default,
  ]);
});

test("plain http is redirected to https", async () => {
  const response = await fetch(`http://127.0.0.1:${ports.http}/api/tests?x=1`, { redirect: "manual" });
  await response.body?.cancel();
  expect([response.status, response.headers.get("location")]).toEqual([
    308,
    "https://127.0.0.1/api/tests?x=1",
  ]);
});

test("a sign-in through TLS gets the https cookie, and a write with it counts as same-origin", async () => {
  const login = await ask("/api/auth/login", {
    method: "POST",
    headers: { "content-type": "application/json", origin: url, "x-forwarded-for": "192.0.2.66" },
    body: JSON.stringify({ name: "admin", password: app.token }),
  });
  expect(login.status).toBe(200);
  const [cookie] = login.headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-chub=.*Secure/);
  expect(login.headers.get("strict-transport-security")).toContain("max-age");
  const [session] = await app.sql`select address from sessions`;
  expect(session!.address).toBe("127.0.0.1");
  const make = (origin: string) =>
    ask("/api/tests", {
      method: "POST",
      headers: { "content-type": "application/json", cookie: cookie!.split(";")[0]!, origin },
      body: JSON.stringify({ name: crypto.randomUUID(), scraper: "push" }),
    });
  expect((await make(url)).status).toBe(201);
  expect((await make("https://evil.test")).status).toBe(403);
});

test("a large upload passes, and one over the limit is a 413 in the API's error format", async () => {
  const push = (size: number) =>
    ask("/api/results?test=large&changelist=1", {
      method: "POST",
      headers: {
        "content-type": "application/xml",
        "x-file-name": "r.xml",
        authorization: `Bearer ${app.token}`,
      },
      body: `<testsuite><testcase name="a"/>${" ".repeat(size)}</testsuite>`,
    });
  expect((await push(20 << 20)).status).toBe(201);
  const large = await push(31 << 20);
  expect([large.status, large.headers.get("content-type")]).toEqual([413, "application/problem+json"]);
  expect((await large.json()).code).toBe("PAYLOAD_TOO_LARGE");
});

test("an event stream is not buffered", async () => {
  const response = await ask("/api/events");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toBe("data: first\n\n");
  send("data: second\n\n");
  expect((await reader.read()).value).toBe("data: second\n\n");
  await reader.cancel();
});

test("the web app is served for its paths, with immutable assets and security headers", async () => {
  for (const path of ["/", "/tests/nightly", "/jobs/17"]) {
    const page = await ask(path);
    expect(await page.text()).toContain("<title>app</title>");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(page.headers.get("cache-control")).toBe("no-cache");
  }
  const asset = await ask("/assets/app-1a2b.js", { headers: { "accept-encoding": "gzip" } });
  expect(asset.headers.get("cache-control")).toContain("immutable");
  expect((await ask("/assets/none.js")).status).toBe(404);
  await Deno.rename(`${folder}/web/index.html`, `${folder}/web/away`);
  expect(await (await ask("/")).text()).toContain("C Hub");
  await Deno.rename(`${folder}/web/away`, `${folder}/web/index.html`);
});

test("with the hub down the API answers in its error format, and works again when the hub is up", async () => {
  await hub!.shutdown();
  const down = await ask("/api/tests");
  expect([down.status, down.headers.get("content-type"), down.headers.get("retry-after")]).toEqual([
    503,
    "application/problem+json",
    "5",
  ]);
  expect(await down.json()).toMatchObject({
    status: 503,
    code: "SERVICE_UNAVAILABLE",
    requestId: expect.any(String),
  });
  expect(await (await ask("/")).text()).toContain("<title>app</title>");
  startHub();
  expect((await ask("/api/tests")).status).toBe(200);
});
