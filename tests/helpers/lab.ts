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
 * Returns a port on which nothing listens, below the system's ephemeral ports: an ephemeral port could be taken by a client or
 * another test before the server that is started with it listens. No other process that calls this gets the same port.
 */
export function freePort(): number {
  while (true) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (!claim(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** Claims a port until this process ends. Returns whether this process was the first to create the port's file. */
function claim(port: number): boolean {
  const folder = `${Deno.env.get("TMPDIR") ?? "/tmp"}/chub-ports-${Deno.uid()}`;
  Deno.mkdirSync(folder, { recursive: true });
  const file = `${folder}/${port}`;
  try {
    Deno.writeTextFileSync(file, String(Deno.pid), { createNew: true });
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    release(file);
    return false;
  }
}

/** Removes the claim of a process that has ended, so that the port can be claimed again. */
function release(file: string): void {
  try {
    const owner = Deno.readTextFileSync(file);
    // Empty while it is being written.
    if (owner === "") return;
    try {
      Deno.statSync(`/proc/${owner}`);
    } catch {
      Deno.removeSync(file);
    }
  } catch (error) {
    // Another process was faster.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Starts the embedded lab as a process with its own permission flags, and a drop of a few sample builds. */
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

/** After this time the value will never come, even on a busy machine. */
const HANG_MS = 60_000;

/** Reads until `isDone`. @throws Error after `HANG_MS` */
export async function until<T>(read: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  const end = performance.now() + HANG_MS;
  while (true) {
    const value = await read();
    if (isDone(value)) return value;
    if (performance.now() > end) {
      throw new Error(`not within ${HANG_MS / 1000} s; last value: ${JSON.stringify(value)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
