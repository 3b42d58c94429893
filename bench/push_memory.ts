import { type BenchDatabase, show, time } from "./database.ts";

const MEGABYTES = Number(Deno.env.get("CHUB_BENCH_PUSH_MB") ?? "1000");
const CASE = (at: number) =>
  at % 50 === 7
    ? `<testcase classname="suite${at % 40}.group${
      at % 997
    }" name="case_${at}" time="0.5"><failure message="expected 1">${
      "stack frame of some length, as real ones are\n".repeat(40)
    }</failure></testcase>\n`
    : `<testcase classname="suite${at % 40}.group${at % 997}" name="case_${at}" time="0.25"><system-out>${
      "a line of output\n".repeat(8)
    }</system-out></testcase>\n`;

/** The most memory that a hub, started as ops start it, takes while one JUnit file of 1 GB is pushed. */
export async function pushMemory({ url, folder }: BenchDatabase): Promise<void> {
  const port = await freePort();
  const home = new URL("..", import.meta.url).pathname;
  const data = `${folder}/data`;
  const hub = new Deno.Command("sh", {
    args: ["run/start.sh"],
    cwd: home,
    env: { DATABASE_URL: url, VRL_URL: "http://127.0.0.1:9", PORT: String(port), DATA_DIR: data },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  try {
    const address = `http://127.0.0.1:${port}`;
    while (!await fetch(`${address}/api/health/ready`).then((response) => response.ok, () => false)) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const token = (await Deno.readTextFile(`${data}/admin.token`)).trim();
    const idle = residentMb(hub.pid).now;
    let sent = 0;
    let cases = 0;
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 0) controller.enqueue(encoder.encode("<testsuite>"));
        let text = "";
        while (text.length < 1 << 18) text += CASE(cases++);
        sent += text.length;
        controller.enqueue(encoder.encode(text));
        if (sent < MEGABYTES * 1e6) return;
        controller.enqueue(encoder.encode("</testsuite>"));
        controller.close();
      },
    });
    let answer: { accepted?: number } = {};
    const ms = await time(async () => {
      const response = await fetch(`${address}/api/results?test=memory&changelist=1`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/xml" },
        body,
      });
      answer = await response.json();
    });
    if (answer.accepted !== cases) throw new Error(JSON.stringify(answer).slice(0, 500));
    console.log(
      `${Math.round(sent / 1e6)} MB of JUnit, ${cases} cases, in ${(ms / 1000).toFixed(1)} s (${
        (sent / 1000 / ms).toFixed(1)
      } MB/s); hub ${idle} MB idle`,
    );
    show("most resident memory of the hub meanwhile, MB", residentMb(hub.pid).most, { atMost: 250 });
  } finally {
    hub.kill("SIGTERM");
    await hub.status;
  }
}

/** Resident memory of a process, in MB: now, and the most it ever was. */
function residentMb(pid: number): { now: number; most: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const mb = (name: string) =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024 / 1e6);
  return { now: mb("VmRSS"), most: mb("VmHWM") };
}

async function freePort(): Promise<number> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  return port;
}
