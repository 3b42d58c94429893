import postgres from "postgres";
import type { Socket } from "node:net";
import type { PostgresType } from "postgres";
import { createInquiry } from "./activity.ts";
import { PADDING } from "./protocol.ts";
import type { Db } from "./queryable.ts";
import { openSocket, type ServerAddress, tlsModeOf } from "./socket.ts";
import { guardReserved, guardTransactions } from "./transactions.ts";
import { DEFAULT_LIMITS, type SilenceLimits, Watch } from "./watch.ts";

const INT8 = 20;
const TIMESTAMPTZ = 1184;
const TIMES = [1082, 1114, TIMESTAMPTZ];

export interface OpenOptions {
  /** Most connections. */
  max?: number;
  name?: string;
  /** How long a connection may be silent before it counts as lost. */
  limits?: Partial<SilenceLimits>;
  /** Called when connections were closed for their silence. */
  onSilent?(count: number): void;
  /** Told each statement as it is sent: for what measures or explains statements. */
  onStatement?(text: string, values: unknown[]): void;
}

const CONNECT_S = 5;
const LOOK_MS = 1_000;

/**
 * Opens a pool. Connects at the first query; a lost database recovers by itself. Connections are named after the pool, so
 * that the server can be asked about each.
 */
export function openDatabase(url: string, options: OpenOptions = {}): Db {
  const id = crypto.getRandomValues(new Uint8Array(4)).toHex();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const base = baseName(new URL(url).searchParams.get("application_name") ?? options.name ?? "chub");
  const own = `${base} ${id} watch`;
  const ask = () => {
    const sockets: Socket[] = [];
    const onSocket = (socket: Socket) => void sockets.push(socket);
    const sql = openPool(url, { max: 1, name: () => own, hasArrays: false, onSocket });
    const close = () => {
      sql.end({ timeout: 0 }).catch(() => {});
      for (const socket of sockets) socket.destroy();
    };
    return { sql, close };
  };
  const inquiry = createInquiry(own, { open: ask, limitMs: limits.answerMs });
  const watch = new Watch({ inquiry, limits, now: () => performance.now(), onSilent: options.onSilent });
  let connections = 0;
  const sql = openPool(url, {
    ...options,
    hasArrays: true,
    name: () => `${base} ${id}-${++connections}`,
    onSocket: createWatcher(watch, Math.min(LOOK_MS, limits.askMs)),
  });
  guardTransactions(sql);
  guardReserved(sql);
  return sql;
}

/** What the server keeps of a name as it is: it replaces characters beyond ASCII, and cuts names at 63. */
function baseName(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, "?").slice(0, 40);
}

/** Adds each socket to the watch, which looks at them as long as there is one. */
function createWatcher(watch: Watch, everyMs: number): (socket: Socket) => void {
  let timer: ReturnType<typeof setInterval> | undefined;
  return (socket) => {
    watch.add(socket);
    socket.once("close", () => {
      if (watch.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
    if (timer !== undefined) return;
    timer = setInterval(() => void watch.look(), everyMs);
    timer.unref();
  };
}

/** What the driver keeps for all connections of a pool. */
interface DriverOptions {
  options: { connection: Record<string, unknown>; shared: { typeArrayMap: Record<string, unknown> } };
}

interface PoolOptions extends Pick<OpenOptions, "max" | "onStatement"> {
  /** Name of the next connection. */
  name(): string;
  /** Whether arrays are sent and read. */
  hasArrays: boolean;
  onSocket(socket: Socket): void;
}

function openPool(url: string, { max, onStatement, name, hasArrays, onSocket }: PoolOptions): Db {
  const { address, socket } = splitSocket(url);
  const asked = new URL(url);
  const tls = tlsModeOf(asked);
  const isDirect = asked.searchParams.get("sslnegotiation") === "direct";
  let opened = 0;
  const sql = postgres(address, {
    ...(socket === null ? {} : { host: socket }),
    max: max ?? 10,
    connect_timeout: CONNECT_S,
    idle_timeout: 60,
    backoff: (attempt) => Math.min(2, 0.1 * 2 ** attempt),
    onnotice: () => {},
    ...(onStatement === undefined ? {} : {
      debug: (_connection: number, text: string, values: unknown[]) => onStatement(text, values),
    }),
    connection: { TimeZone: "UTC", [PADDING.name]: PADDING.value },
    types: {
      bigint: { to: INT8, from: [INT8], serialize: String, parse: Number },
      date: { to: TIMESTAMPTZ, from: TIMES, serialize: toIso, parse: toDate },
    },
    // The hub's sockets come encrypted already, so that the messages on them can be followed.
    ssl: false,
    async socket({ path, host, port }: { path: string | false; host: string[]; port: number[] }) {
      const at = opened++ % host.length;
      const server: ServerAddress = {
        path: path || undefined,
        host: host[at]!,
        port: port[at]!,
        tls,
        isDirect,
        timeoutMs: CONNECT_S * 1000,
      };
      const made = await openSocket(server);
      onSocket(made);
      return made;
    },
  } as postgres.Options<{ bigint: PostgresType<number> }>) as unknown as Db;
  // Both are read as each connection starts. A connection that is lost while it fetches the types of arrays ends the process,
  // by a rejection that nothing handles (the driver's fetchArrayTypes); all connections share what the first one fetched.
  const { options } = sql as unknown as DriverOptions;
  Object.defineProperties(options, {
    fetch_types: {
      enumerable: true,
      get: () => hasArrays && Object.keys(options.shared.typeArrayMap).length === 0,
    },
  });
  Object.defineProperty(options.connection, "application_name", { enumerable: true, get: name });
  return sql;
}

function toIso(value: Date | string): string {
  return (value instanceof Date ? value : new Date(value)).toISOString();
}

/** Postgres's own form with a space is read by no standard: JavaScript takes the year 0001 in it for 2001. */
function toDate(text: string): Date {
  return new Date(text.endsWith("+00") ? `${text.slice(0, 10)}T${text.slice(11, -3)}Z` : text);
}

/** Where `?host=` names a folder, as libpq has it, the server is reached by the socket in it. */
function splitSocket(url: string): { address: string; socket: string | null } {
  const parsed = new URL(url);
  const socket = parsed.searchParams.get("host");
  if (socket === null || !socket.startsWith("/")) return { address: url, socket: null };
  parsed.searchParams.delete("host");
  return { address: parsed.href, socket };
}
