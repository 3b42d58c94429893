import { connect as connectPlain } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import {
  BusyError,
  Client,
  ConstraintViolationError,
  type Entry,
  Filter,
  InappropriateAuthError,
  InvalidCredentialsError,
  InvalidDNSyntaxError,
  NoSuchObjectError,
  ResultCodeError,
  UnavailableError,
  UnwillingToPerformError,
} from "ldapts";
import { HubError, reasonOf } from "../errors.ts";
import { escapeDn, fill } from "./ldap_escape.ts";

export interface LdapSettings {
  /** `ldaps://host[:port]`, or `ldap://host[:port]`, which then requires StartTLS. Tried in order. */
  urls: readonly string[];
  /** PEM of additional certificate authorities. */
  ca: string | undefined;
  /** DN to bind as, with `{user}`. If undefined, the user's entry is searched for. */
  bindTemplate: string | undefined;
  searchBase: string | undefined;
  /** Contains `{user}`. A user that it no longer finds can no longer sign in. */
  userFilter: string;
  /** Attribute with a person's name in the hub. */
  userAttribute: string;
  /** The account for searches; undefined: searches are anonymous. */
  service: { dn: string; password: string } | undefined;
  groupBase: string | undefined;
  /** Contains `{dn}` and `{user}`. */
  groupFilter: string;
  /** Limit of each step: connecting, TLS, one response. */
  timeoutMs: number;
}

/** A person's entry in the directory. */
export interface Person {
  name: string;
  dn: string;
  /** DNs, and also plain names for groups found by search. */
  groups: string[];
}

export type OnRefusal = (reason: string) => void;

export interface Directory {
  /**
   * Returns the person, or undefined if name or password are wrong; `onRefusal` then gets the reason, which contains neither.
   * @throws HubError SERVICE_UNAVAILABLE if no server answers
   */
  signIn(name: string, password: string, onRefusal?: OnRefusal): Promise<Person | undefined>;
  /** Returns the person's present entry; undefined if it is gone or may no longer sign in. @throws as `signIn` */
  find(name: string): Promise<Person | undefined>;
}

/** Server errors that mean the name or password is wrong, or no longer valid. */
const REFUSALS = [
  InvalidCredentialsError,
  NoSuchObjectError,
  InvalidDNSyntaxError,
  UnwillingToPerformError,
  InappropriateAuthError,
  ConstraintViolationError,
];
// deno-lint-ignore no-control-regex
const NAME = /^[^\u0000-\u001f\u007f]{1,128}$/;
const MAX_PASSWORD = 1024;

/** A directory over LDAP. Always encrypted; certificates and host names are always verified. */
export function createDirectory(settings: LdapSettings): Directory {
  return {
    signIn: async (name, password, onRefusal = () => {}) => {
      // An empty password is an anonymous bind, which succeeds (RFC 4513, 5.1.2).
      if (!NAME.test(name) || password === "" || password.length > MAX_PASSWORD || password.includes("\0")) {
        onRefusal("the name or the password is empty, too long or contains control characters");
        return undefined;
      }
      return await onServer(settings, async (open) => {
        if (settings.bindTemplate !== undefined) {
          const dn = fill(settings.bindTemplate, { user: escapeDn(name) });
          const own = await open();
          if (!await bindAs(own, dn, password, onRefusal)) return undefined;
          return await readPerson(own, settings, { name, dn }, onRefusal);
        }
        const reader = await open();
        await bindService(reader, settings);
        const person = await readPerson(reader, settings, { name }, onRefusal);
        const dn = person?.dn ?? `cn=nobody,${settings.searchBase}`;
        // Binds for an unknown name too, so that it takes as long as a known one.
        const isGood = await bindAs(await open(), dn, password, person === undefined ? () => {} : onRefusal);
        return isGood ? person : undefined;
      });
    },
    find: async (name) => {
      if (!NAME.test(name)) return undefined;
      return await onServer(settings, async (open) => {
        const reader = await open();
        await bindService(reader, settings);
        const dn = settings.bindTemplate && fill(settings.bindTemplate, { user: escapeDn(name) });
        return await readPerson(reader, settings, dn === undefined ? { name } : { name, dn });
      });
    },
  };
}

type Open = () => Promise<Client>;

/** Tries the servers in order until one answers; any answer, even a refusal, is final. */
async function onServer<T>(settings: LdapSettings, act: (open: Open) => Promise<T>): Promise<T> {
  const reasons: string[] = [];
  for (const url of settings.urls) {
    const clients: Client[] = [];
    try {
      return await act(async () => {
        const client = await connect(url, settings, (made) => clients.push(made));
        return client;
      });
    } catch (error) {
      const isAnswer = error instanceof ResultCodeError && !(error instanceof BusyError) &&
        !(error instanceof UnavailableError);
      reasons.push(`${url}: ${reasonOf(error).split("\n")[0]}`);
      if (isAnswer) break;
    } finally {
      for (const client of clients) client.unbind().catch(() => {});
    }
  }
  throw new HubError("SERVICE_UNAVAILABLE", "LDAP is unreachable; retry in 10 s.", {
    cause: new Error(reasons.join("; ")),
    retryAfter: 10,
  });
}

/** Opens an encrypted connection. @throws if encryption fails */
async function connect(
  url: string,
  { ca, timeoutMs }: LdapSettings,
  made: (client: Client) => void,
): Promise<Client> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  const tls: ConnectionOptions = {
    host,
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    // Deno adds these to the default authorities.
    ...(ca === undefined ? {} : { ca: [ca] }),
  };
  const isSecure = url.startsWith("ldaps:");
  const client = new Client({
    url,
    timeout: timeoutMs,
    connectTimeout: timeoutMs,
    ...(isSecure ? { tlsOptions: tls } : {}),
    createConnection: once(connectPlain),
    createSecureConnection: once(connectTls),
  });
  made(client);
  // Without this check, a failed StartTLS would let the client send a password in clear text.
  if (!isSecure) await withTimeout(client.startTLS(tls), timeoutMs, "StartTLS");
  return client;
}

/** Allows one connection: the client reconnects on its own when a connection is lost, after StartTLS in clear text. */
function once<T extends (...args: never[]) => unknown>(make: T): T {
  let isMade = false;
  return ((...args: Parameters<T>) => {
    if (isMade) throw new Error("the connection was lost");
    isMade = true;
    return make(...args);
  }) as T;
}

async function withTimeout<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function bindAs(
  client: Client,
  dn: string,
  password: string,
  onRefusal: OnRefusal,
): Promise<boolean> {
  try {
    await client.bind(dn, password);
    return true;
  } catch (error) {
    const refusal = REFUSALS.find((one) => error instanceof one);
    if (refusal === undefined) throw error;
    onRefusal(
      `the directory refuses the password: ${refusal.name.replace(/Error$/, "")} (${
        (error as ResultCodeError).code
      })`,
    );
    return false;
  }
}

async function bindService(client: Client, { service }: LdapSettings): Promise<void> {
  if (service !== undefined) await client.bind(service.dn, service.password);
}

/** Reads the entry that the user filter finds, with its groups. Several entries are refused, because the name is ambiguous. */
async function readPerson(
  client: Client,
  settings: LdapSettings,
  { name, dn }: { name: string; dn?: string },
  onRefusal: OnRefusal = () => {},
): Promise<Person | undefined> {
  const { userAttribute, userFilter, groupBase, groupFilter } = settings;
  const found = await search(client, dn ?? settings.searchBase!, {
    scope: dn === undefined ? "sub" : "base",
    filter: fill(userFilter, { user: Filter.escape(name) }),
    attributes: [userAttribute, "memberOf"],
  });
  if (found.length !== 1) {
    onRefusal(
      found.length > 1
        ? `LDAP_USER_FILTER finds ${found.length} entries, so the name is ambiguous`
        : `LDAP_USER_FILTER (${userFilter}) finds no entry: the name is unknown, the account may not sign in, or the filter ` +
          "uses an attribute that is not in the directory's schema",
    );
    return undefined;
  }
  const entry = found[0]!;
  const groups = valuesOf(entry, "memberOf");
  if (groupBase !== undefined) {
    const filter = fill(groupFilter, { dn: Filter.escape(entry.dn), user: Filter.escape(name) });
    for (const group of await search(client, groupBase, { scope: "sub", filter, attributes: ["cn"] })) {
      groups.push(group.dn, ...valuesOf(group, "cn"));
    }
  }
  return { name: valuesOf(entry, userAttribute)[0] ?? name, dn: entry.dn, groups };
}

async function search(
  client: Client,
  base: string,
  options: { scope: "base" | "sub"; filter: string; attributes: string[] },
): Promise<Entry[]> {
  try {
    const { searchEntries } = await client.search(base, { ...options, sizeLimit: 1000 });
    return searchEntries;
  } catch (error) {
    if (error instanceof NoSuchObjectError || error instanceof InvalidDNSyntaxError) return [];
    throw error;
  }
}

function valuesOf(entry: Entry, attribute: string): string[] {
  const key = Object.keys(entry).find((name) => name.toLowerCase() === attribute.toLowerCase());
  const value = key === undefined ? [] : entry[key]!;
  return (Array.isArray(value) ? value : [value]).map(String).filter((one) => one !== "");
}
