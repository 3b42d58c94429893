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
  /** Maximum number of connections. */
  max?: number;
  name?: string;
  /** How long a connection may be silent before it counts as lost. */
  limits?: Partial<SilenceLimits>;
  /** Called when connections were closed because they were silent. */
  onSilent?(count: number): void;
  /** Called with each statement as it is sent, for code that measures or explains statements. */
  onStatement?(text: string, values: unknown[]): void;
}

const CONNECT_S = 5;
const LOOK_MS = 1_000;

/**
 * Opens a pool. It connects at the first query and reconnects by itself after the database was unavailable. Each
 * connection has its own name, so that the server can report its activity.
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

/** Cuts a name to what the server keeps unchanged: it replaces non-ASCII characters, and truncates names at 63 bytes. */
function baseName(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, "?").slice(0, 40);
}

/** Returns a function that adds a socket to the watch. A timer checks the watch every `everyMs` while it has sockets. */
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

/** The options that all connections of a pool share in the driver. */
interface DriverOptions {
  options: { connection: Record<string, unknown>; shared: { typeArrayMap: Record<string, unknown> } };
}

interface PoolOptions extends Pick<OpenOptions, "max" | "onStatement"> {
  /** Name of the next connection. */
  name(): string;
  /** Whether array parameters and columns are supported. */
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
    // `openSocket` has already set up TLS, so that the watch can read the messages.
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
  // The driver reads both properties as each connection starts. A connection lost while it fetches the array types
  // (`fetchArrayTypes` in the driver) ends the process by an unhandled rejection, so only the first connection fetches
  // them; the others share its result.
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

/**
 * Parses Postgres's timestamp format, which has a space and is not ISO 8601: `new Date` would read the year 0001 in it as
 * 2001.
 */
function toDate(text: string): Date {
  return new Date(text.endsWith("+00") ? `${text.slice(0, 10)}T${text.slice(11, -3)}Z` : text);
}

/** Splits off the folder of the Unix socket where `?host=` names a folder, as in libpq. */
function splitSocket(url: string): { address: string; socket: string | null } {
  const parsed = new URL(url);
  const socket = parsed.searchParams.get("host");
  if (socket === null || !socket.startsWith("/")) return { address: url, socket: null };
  parsed.searchParams.delete("host");
  return { address: parsed.href, socket };
}
