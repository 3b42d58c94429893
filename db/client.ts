import postgres from "postgres";
import type { ISql, Sql } from "postgres";
import { guardTransactions } from "./transactions.ts";

const INT8 = 20;
const TIMESTAMPTZ = 1184;
const TIMES = [1082, 1114, TIMESTAMPTZ];

/** A pool over one database; numbers of 64 bits come as `number` (ids stay under 2^53), times as `Date`. */
export type Db = Sql<{ bigint: number }>;
/** A pool or a transaction: what query functions take. */
export type Queryable = ISql<{ bigint: number }>;

export interface OpenOptions {
  /** Most connections. */
  max?: number;
  name?: string;
  /** Told each statement as it is sent: for what measures or explains statements. */
  onStatement?(text: string, values: unknown[]): void;
}

/** Opens a pool. Connects at the first query; a lost database heals by itself. */
export function openDatabase(url: string, options: OpenOptions = {}): Db {
  const { address, socket } = splitSocket(url);
  const sql = postgres(address, {
    ...(socket === null ? {} : { host: socket }),
    max: options.max ?? 10,
    connect_timeout: 5,
    idle_timeout: 60,
    backoff: (attempt) => Math.min(2, 0.1 * 2 ** attempt),
    onnotice: () => {},
    ...(options.onStatement === undefined ? {} : {
      debug: (_connection: number, text: string, values: unknown[]) => options.onStatement!(text, values),
    }),
    connection: { application_name: options.name ?? "chub", TimeZone: "UTC" },
    types: {
      bigint: { to: INT8, from: [INT8], serialize: String, parse: Number },
      date: { to: TIMESTAMPTZ, from: TIMES, serialize: toIso, parse: toDate },
    },
  }) as unknown as Db;
  guardTransactions(sql);
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
