import { type Lab, startLab } from "../../run/lab_process.ts";
import { makeSampleDrop } from "../../run/lab/sample/make.ts";
import { HOME } from "./app.ts";

export interface TestLab extends Lab {
  data: string;
  drop: string;
  token: string;
  listen: string;
}

/**
 * A port nobody listens on, below those that the system gives away: one of these may be a client's, or another test's, before
 * a server that is started with it listens.
 */
export function freePort(): number {
  while (true) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** The real lab, as a process under its own flags, with a drop of a few sample builds. */
export async function testLab({ from = 1080, to = 1085 } = {}): Promise<TestLab> {
  const data = await Deno.makeTempDir({ prefix: "chub-lab-" });
  const token = "chub_lab_0123456789abcdef0123456789abcdef";
  await Deno.writeTextFile(`${data}/lab.token`, token);
  const drop = `${data}/drop`;
  await Deno.mkdir(drop);
  for await (const _file of makeSampleDrop(drop, { from, to })) {
    // each is made
  }
  const listen = `127.0.0.1:${freePort()}`;
  const lab = await startLab({ home: HOME, data, listen });
  return {
    ...lab,
    data,
    drop,
    token,
    listen,
    async stop() {
      await lab.stop();
      await Deno.remove(data, { recursive: true }).catch(() => {});
    },
  };
}

/** Asks until `isDone`, for at most ten seconds. */
export async function until<T>(read: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  const end = performance.now() + 10_000;
  while (true) {
    const value = await read();
    if (isDone(value)) return value;
    if (performance.now() > end) throw new Error(`not within ten seconds; now: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
