import { type BenchDatabase, show, time } from "./database.ts";
import { startHub } from "./hub.ts";

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

/** Measures the maximum memory of a hub during the push of a 1 GB JUnit file. */
export async function pushMemory(bench: BenchDatabase): Promise<void> {
  const hub = await startHub(bench);
  try {
    const idle = hub.residentMb().now;
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
      const response = await fetch(`${hub.url}/api/results?test=memory&changelist=1`, {
        method: "POST",
        headers: { authorization: `Bearer ${hub.token}`, "content-type": "application/xml" },
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
    show("maximum resident memory of the hub during the push, MB", hub.residentMb().most, { atMost: 250 });
  } finally {
    await hub.stop();
  }
}
