import type { Author } from "../db/access/audit.ts";
import { recordAudit } from "../db/access/audit.ts";
import type { Db } from "../db/core/queryable.ts";
import { savePerson } from "../db/access/people.ts";
import { createSession, endSession, endSessions, findSession } from "../db/access/sessions.ts";
import { findToken } from "../db/access/tokens.ts";
import { HubError } from "../errors.ts";
import type { IsAdminToken } from "./admin_token.ts";
import type { Client } from "./client.ts";
import { digestOf, randomId } from "./digest.ts";
import type { Directory, OnRefusal } from "./ldap.ts";
import { People } from "./people.ts";
import type { GrantedRole, Identity } from "./roles.ts";
import type { Throttle } from "./throttle.ts";
import { isToken } from "./token_format.ts";

export interface AuthOptions {
  sql: Db;
  /** Undefined without LDAP_URL: then only the admin token can sign in. */
  directory: Directory | undefined;
  isAdminToken: IsAdminToken;
  throttle: Throttle;
  groupRoles: readonly { role: GrantedRole; group: string }[];
  recheckMs: number;
  sessionIdleMs: number;
  sessionMaxMs: number;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Minimum duration of a refused sign-in, in ms, so that timing does not reveal the reason. */
  refusalMs?: number;
}

/** A new session. */
export interface Begun {
  /** The cookie's value; not stored. */
  sessionId: string;
  identity: Identity;
}

export interface Auth {
  /** Identifies the caller; null if anonymous. @throws HubError UNAUTHORIZED for an invalid `Authorization` header */
  identify(
    credentials: { authorization: string | null; sessionId: string | undefined },
  ): Promise<Identity | null>;
  /**
   * Begins a session, and ends the caller's earlier session.
   * @throws HubError UNAUTHORIZED, FORBIDDEN (in clear text), TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE
   */
  signIn(input: SignIn): Promise<Begun>;
  signOut(identity: Identity, by: Author, options: { everywhere: boolean }): Promise<void>;
}

export interface SignIn {
  name: string;
  password: string;
  client: Client;
  requestId: string;
  agent: string;
  /** Hash of the caller's present session, if any. */
  earlier: Uint8Array | undefined;
}

const LOCAL_NAME = "admin";
const REFUSAL_MS = 400;

/** Identifies callers by session, API token or admin token. */
export function createAuth(options: AuthOptions): Auth {
  const { sql, directory, isAdminToken, throttle, now } = options;
  const people = new People(options);

  async function ofSession(sessionId: string): Promise<Identity | null> {
    const hash = digestOf(sessionId);
    const session = await findSession(sql, hash, { now: now(), idleMs: options.sessionIdleMs });
    const standing = session && await people.standingOf(session.person);
    if (session === undefined || standing === undefined) return null;
    return {
      name: session.person.name,
      ...standing,
      via: "session",
      scopes: null,
      expiresAt: session.expiresAt,
      sessionHash: hash,
    };
  }

  async function ofToken(text: string): Promise<Identity | null> {
    if (isAdminToken(text)) {
      return {
        name: LOCAL_NAME,
        roles: ["viewer", "admin"],
        via: "admin token",
        scopes: null,
        expiresAt: null,
        sessionHash: undefined,
        isStale: false,
      };
    }
    const token = isToken(text) ? await findToken(sql, digestOf(text), now()) : undefined;
    const standing = token && await people.standingOf(token.person);
    if (token === undefined || standing === undefined) return null;
    const { id, scopes, expiresAt, person } = token;
    return { name: person.name, ...standing, via: `token ${id}`, scopes, expiresAt, sessionHash: undefined };
  }

  async function check(
    name: string,
    password: string,
    onRefusal: OnRefusal,
  ): Promise<{ name: string; groups: string[] } | undefined> {
    if (directory !== undefined) return await directory.signIn(name, password, onRefusal);
    if (name === LOCAL_NAME && isAdminToken(password)) return { name, groups: [] };
    onRefusal(
      name === LOCAL_NAME
        ? "the password of `admin` is not the admin token"
        : "LDAP_URL is not set, so only `admin` can sign in",
    );
    return undefined;
  }

  return {
    async identify({ authorization, sessionId }) {
      if (authorization !== null) {
        const text = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
        const identity = text === undefined ? null : await ofToken(text);
        if (identity !== null) return identity;
        throw new HubError(
          "UNAUTHORIZED",
          "The token in the Authorization header is malformed, unknown, expired or revoked; send `Authorization: Bearer <token>`.",
        );
      }
      return sessionId === undefined ? null : await ofSession(sessionId);
    },

    async signIn({ name, password, client, requestId, agent, earlier }) {
      if (!client.isSecure && !client.isLocal) {
        throw new HubError(
          "FORBIDDEN",
          "Sign-in requires https, except from this machine; behind a proxy, set TRUST_PROXY to the proxy's address.",
        );
      }
      const began = Date.now();
      const attempt = await throttle.attempt({ account: name, address: client.address });
      let reason = "";
      const person = await check(name, password, (why) => reason = why).catch(async (error) => {
        await attempt.discard();
        throw error;
      });
      const by = { name: person?.name ?? "unknown", via: "sign-in", address: client.address, requestId };
      if (person === undefined) {
        // The name is not logged, because it may be a password typed into the wrong field.
        options.log("a sign-in was refused", { reason, address: client.address, requestId });
        await recordAudit(sql, by, { action: "session.refuse", object: "session" });
        const left = (options.refusalMs ?? REFUSAL_MS) - (Date.now() - began);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, left)));
        throw new HubError("UNAUTHORIZED", "The name or the password is wrong.");
      }
      await attempt.succeeded();
      const sessionId = randomId();
      const at = now();
      const expiresAt = new Date(at.getTime() + options.sessionMaxMs);
      const source = directory === undefined ? "local" as const : "directory" as const;
      await sql.begin(async (tx) => {
        await savePerson(tx, { name: person.name, source, groups: person.groups }, at);
        if (earlier !== undefined) await endSession(tx, earlier);
        const hash = digestOf(sessionId);
        await createSession(tx, { hash, person: person.name, at, expiresAt, address: client.address, agent });
        await recordAudit(tx, by, { action: "session.begin", object: `person ${person.name}` });
      });
      return { sessionId, identity: (await ofSession(sessionId))! };
    },

    async signOut(identity, by, { everywhere }) {
      await sql.begin(async (tx) => {
        const ended = everywhere
          ? await endSessions(tx, identity.name)
          : identity.sessionHash !== undefined && await endSession(tx, identity.sessionHash)
          ? 1
          : 0;
        await recordAudit(tx, by, {
          action: "session.end",
          object: `person ${identity.name}`,
          after: { sessions: ended },
        });
      });
    },
  };
}
