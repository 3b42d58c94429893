/** What the lab does with a submission: whether it stores it, and how it answers. */
export const LAB_FAULTS = [
  "none",
  "refuses",
  "stores, cuts the connection",
  "stores, answers 502",
  "stores, answers nonsense",
  "stores, answers no serial",
  "stores, hangs",
  "cuts the connection",
  "answers 502",
  "answers nonsense",
  "hangs",
] as const;
export type LabFault = typeof LAB_FAULTS[number];

export interface FaultyLabJob {
  serial: number;
  note: string;
  state: string;
  reason: string | null;
  change: number;
}

export interface FaultyLab {
  url: string;
  /** Every submission that was stored, in order. */
  journal: FaultyLabJob[];
  /** Faults of the next submissions; the last one repeats. */
  faults: LabFault[];
  /** Serials that the lab has forgotten. */
  forgotten: Set<number>;
  /** Serials for which the lab answers 500. */
  broken: Set<number>;
  /** Changes a job, visibly in the list of changes. */
  change(serial: number, fields: Partial<FaultyLabJob>): void;
  close(): void;
}

/** A lab that implements docs/reference/lab-contract.md and breaks it on request. Written on plain TCP, so that it can cut connections. */
export function startFaultyLab(
  port: number,
  before?: Pick<FaultyLab, "journal" | "forgotten" | "faults">,
): FaultyLab {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const open = new Set<Deno.Conn>();
  const { journal = [], forgotten = new Set<number>(), faults = ["none"] } = before ?? {};
  let changes = Math.max(0, ...journal.map((job) => job.change));
  let serials = Math.max(1000, ...journal.map((job) => job.serial));
  const lab: FaultyLab = {
    url: `http://127.0.0.1:${port}`,
    journal,
    faults,
    forgotten,
    broken: new Set(),
    change(serial, fields) {
      Object.assign(journal.find((job) => job.serial === serial)!, fields, { change: ++changes });
    },
    close() {
      close(listener);
      for (const connection of open) close(connection);
    },
  };
  const store = (note: string) => {
    const job = { serial: ++serials, note, state: "queued", reason: null, change: ++changes };
    journal.push(job);
    return job.serial;
  };
  const list = (query: URLSearchParams) => {
    const after = Number(query.get("updatedAfter") ?? 0);
    const jobs = journal
      .filter((job) =>
        job.change > after && job.note.includes(query.get("note") ?? "") && !forgotten.has(job.serial)
      )
      .sort((a, b) => a.change - b.change);
    return { jobs, nextCursor: String(jobs.at(-1)?.change ?? after) };
  };
  /** The complete response; "" cuts the connection, undefined keeps it open. */
  const answer = (method: string, path: string, body: string): string | undefined => {
    const url = new URL(path, lab.url);
    if (method === "GET" && url.pathname === "/jobs") return json(200, list(url.searchParams));
    if (method === "GET") {
      const serial = Number(url.pathname.split("/")[2]);
      if (lab.broken.has(serial)) return json(500, { error: "broken" });
      const job = journal.find((one) => one.serial === serial && !forgotten.has(serial));
      return job === undefined ? json(404, { error: "no such job" }) : json(200, job);
    }
    if (method === "DELETE") {
      lab.change(Number(url.pathname.split("/")[2]), { state: "cancelled" });
      return json(200, {});
    }
    const { note } = JSON.parse(body) as { note: string };
    const fault = lab.faults.length > 1 ? lab.faults.shift()! : lab.faults[0]!;
    if (fault === "refuses") return json(400, { error: "no such pool" });
    const isStored = fault === "none" || fault.startsWith("stores");
    const serial = isStored ? store(note) : 0;
    if (fault.endsWith("cuts the connection")) return "";
    if (fault.endsWith("502")) return "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops";
    if (fault.endsWith("nonsense")) return "HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n<html>no{";
    if (fault.endsWith("no serial")) return json(201, { ok: true });
    return fault.endsWith("hangs") ? undefined : json(201, { serials: [serial] });
  };
  const serve = async (connection: Deno.Conn) => {
    const request = await readRequest(connection);
    if (request === undefined) return close(connection);
    const text = answer(request.method, request.path, request.body);
    if (text === undefined) return;
    if (text !== "") await connection.write(new TextEncoder().encode(text));
    close(connection);
  };
  const accept = async () => {
    for await (const connection of listener) {
      open.add(connection);
      serve(connection).catch(() => close(connection));
    }
  };
  accept().catch(() => {});
  return lab;
}

function close(connection: Deno.Conn | Deno.Listener): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

function json(status: number, value: unknown): string {
  const body = JSON.stringify(value);
  const length = new TextEncoder().encode(body).length;
  return `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${body}`;
}

async function readRequest(connection: Deno.Conn) {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (true) {
    const [head, body] = text.split("\r\n\r\n", 2);
    if (body !== undefined && body.length >= Number(/^content-length: *(\d+)/im.exec(head!)?.[1] ?? 0)) {
      const [method, path] = head!.split(" ", 2);
      return { method: method!, path: path!, body };
    }
    const count = await connection.read(buffer);
    if (count === null) return undefined;
    text += decoder.decode(buffer.subarray(0, count));
  }
}
