/** A raw connection that sends arbitrary bytes and tolerates a close at any time. */
export interface HostileLine {
  /** Sends as much as the hub accepts. Returns whether it accepted all. */
  send(data: string | Uint8Array): Promise<boolean>;
  /** Ends the sending side. */
  closeWrite(): Promise<void>;
  /** Reads some bytes. Returns whether there were any. */
  readSome(): Promise<boolean>;
  /** Reads until the hub closes the connection. Returns the response statuses. @throws Error if it stays open */
  untilClosed(options?: { drip?: () => string }): Promise<number[]>;
  close(): void;
}

/** A connection still open after this time will never be closed, even on a busy machine. */
const HANG_MS = 60_000;
const DRIP_MS = 100;
const encoder = new TextEncoder();

export async function openLine(port: number): Promise<HostileLine> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(1 << 16);
  let isClosed = false;
  let hangs = false;
  const line: HostileLine = {
    async send(data) {
      const bytes = typeof data === "string" ? encoder.encode(data) : data;
      try {
        for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
        return true;
      } catch {
        return false;
      }
    },
    closeWrite: () => connection.closeWrite().catch(() => {}),
    readSome: async () => await connection.read(buffer).catch(() => null) !== null,
    async untilClosed({ drip } = {}) {
      const hang = setTimeout(() => {
        hangs = true;
        line.close();
      }, HANG_MS);
      const decoder = new TextDecoder("latin1");
      const statuses: number[] = [];
      let rest = "";
      let isOpen = true;
      const dripping = (async () => {
        while (isOpen && drip !== undefined && await line.send(drip())) {
          await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
        }
      })();
      for (let count; (count = await connection.read(buffer).catch(() => null)) !== null;) {
        rest += decoder.decode(buffer.subarray(0, count));
        const lines = rest.split("\r\n");
        // A status line may come in two pieces, or after a body.
        rest = lines.pop()!.slice(-100);
        for (const one of lines) {
          const found = /HTTP\/1\.1 (\d{3}) [A-Z]/.exec(one);
          if (found !== null) statuses.push(Number(found[1]));
        }
      }
      isOpen = false;
      clearTimeout(hang);
      line.close();
      await dripping;
      if (hangs) throw new Error(`still open after ${HANG_MS / 1000} s; answers: ${statuses}`);
      return statuses;
    },
    close() {
      if (!isClosed) connection.close();
      isClosed = true;
    },
  };
  return line;
}
