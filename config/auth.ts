import { z } from "zod";
import { setting, type Values as ValuesOf, whole, yes } from "./setting.ts";

const ROLE_NAMES = ["submitter", "ingester", "triager", "admin"] as const;
const words = z.string().default("").transform((value) => value.split(/\s+/).filter(Boolean));
const withUser = z.string().includes("{user}", { error: "must contain {user}" });

/** Settings of sign-in, roles and exposure. */
export const AUTH_SETTINGS = {
  LDAP_URL: setting(
    words.pipe(
      z.array(z.url({ protocol: /^ldaps?$/, error: "each must be an ldaps: or ldap: URL" })),
    ),
    "Directory servers, tried in turn, separated by spaces: ldaps://, or ldap:// with StartTLS, which is then required",
    "none: only the admin token signs in, and the hub listens on loopback",
  ),
  LDAP_STARTTLS: setting(
    yes,
    "`true` upgrades ldap:// connections with StartTLS; otherwise ldap:// is rejected",
  ),
  LDAP_CA_FILE: setting(z.string().optional(), "PEM file of additional trusted certificate authorities"),
  LDAP_BIND_DN: setting(
    withUser.optional(),
    "DN to bind as, with the placeholder `{user}`, as in `uid={user},ou=people,dc=example,dc=org`",
    "none: search",
  ),
  LDAP_SEARCH_BASE: setting(z.string().optional(), "Base DN of the search for people"),
  LDAP_USER_FILTER: setting(
    withUser.startsWith("(").default("(uid={user})"),
    "Filter for a person's entry; a person whose entry no longer matches may no longer sign in",
  ),
  LDAP_USER_ATTRIBUTE: setting(
    z.string().regex(/^[\w-]+$/).default("uid"),
    "Attribute with a person's user name",
  ),
  LDAP_SERVICE_DN: setting(
    z.string().optional(),
    "DN of the account that searches, also for the checks every AUTH_RECHECK seconds",
    "none: search anonymously",
  ),
  LDAP_SERVICE_PASSWORD_FILE: setting(z.string().optional(), "File with that account's password"),
  LDAP_GROUP_BASE: setting(
    z.string().optional(),
    "Base DN of the search for groups, in addition to `memberOf`",
  ),
  LDAP_GROUP_FILTER: setting(
    z.string().startsWith("(").default("(member={dn})"),
    "Filter for a person's groups, with the placeholders `{dn}` and `{user}`",
  ),
  LDAP_ROLES: setting(
    z.string().default("").transform((value, context) => {
      const roles: { role: typeof ROLE_NAMES[number]; group: string }[] = [];
      for (const part of value.split(/[;\n]/).map((one) => one.trim()).filter(Boolean)) {
        const [, name, group] = /^(\w+)\s*=(.+)$/.exec(part) ?? [];
        const role = ROLE_NAMES.find((one) => one === name);
        if (role === undefined || group === undefined) {
          context.addIssue({
            code: "custom",
            message: `each must be role=group with a role of ${ROLE_NAMES.join(", ")}: ${
              JSON.stringify(part)
            }`,
          });
        } else roles.push({ role, group: group.trim() });
      }
      return roles;
    }),
    "Roles of groups, as `role=group; role=group`, with a group's DN or plain name; roles: submitter, ingester, triager, admin",
    "none: every signed-in user is a viewer",
  ),
  LDAP_TIMEOUT: setting(whole(1, 120).default(5), "Time limit of each request to the directory, in seconds"),
  AUTH_RECHECK: setting(
    whole(5, 86_400).default(300),
    "Seconds between checks that a person is still in the directory, and of the person's groups",
  ),
  SESSION_IDLE: setting(
    whole(60, 31_536_000).default(28_800),
    "Seconds without a request after which a session expires",
  ),
  SESSION_MAX: setting(whole(60, 31_536_000).default(604_800), "Maximum duration of a session, in seconds"),
  READ_REQUIRES_LOGIN: setting(yes, "`true` requires a sign-in for reads"),
  ALLOW_REMOTE_WITHOUT_LDAP: setting(yes, "`true` permits listening beyond loopback without LDAP"),
  ALLOWED_HOSTS: setting(
    words.pipe(
      z.array(
        z.string().toLowerCase().regex(
          /^(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/,
          "each must be a host name, without a port",
        ),
      ),
    ),
    "Host names that the hub answers to, without port, separated by spaces, in addition to IP addresses, localhost and HOST; others get a 421",
  ),
  TRUST_PROXY: setting(
    words.pipe(z.array(z.union([z.ipv4(), z.ipv6()], { error: "each must be an IP address" }))),
    "Addresses of proxies whose X-Forwarded-For, -Proto and -Host are trusted, separated by spaces",
  ),
  CORS_ORIGINS: setting(
    words.pipe(
      z.array(z.string().regex(/^https?:\/\/[^/]+$/, "each must be an origin, as in https://ci.example.org")),
    ),
    "Origins whose pages may read from the hub in a browser, separated by spaces",
  ),
  RATE_WRITES: setting(
    whole(1, 10_000_000).default(1200),
    "Maximum writes per minute for each person, token or address",
  ),
  RATE_READS: setting(
    whole(1, 100_000_000).default(6000),
    "Maximum reads per minute for each person, token or address; an expensive read or an export counts as ten",
  ),
};

export interface LdapConfig {
  urls: string[];
  caFile: string | undefined;
  bindTemplate: string | undefined;
  searchBase: string | undefined;
  userFilter: string;
  userAttribute: string;
  serviceDn: string | undefined;
  servicePasswordFile: string | undefined;
  groupBase: string | undefined;
  groupFilter: string;
  timeoutMs: number;
}

export interface AuthConfig {
  /** Undefined if no directory is configured. */
  ldap: LdapConfig | undefined;
  /** Roles of groups, by DN or plain name. */
  groupRoles: { role: typeof ROLE_NAMES[number]; group: string }[];
  recheckMs: number;
  sessionIdleMs: number;
  sessionMaxMs: number;
  readRequiresLogin: boolean;
  /** In lower case, including HOST. */
  allowedHosts: ReadonlySet<string>;
  trustedProxies: string[];
  corsOrigins: string[];
  writesPerMinute: number;
  readsPerMinute: number;
}

type Values = ValuesOf<typeof AUTH_SETTINGS>;
type Report = (path: string, message: string) => void;

/** Converts the settings, and reports invalid combinations. */
export function authConfig(
  value: Values & { HOST: string },
  absolute: (path: string) => string,
  report: Report,
): AuthConfig {
  const ldap = value.LDAP_URL.length === 0 ? undefined : ldapConfig(value, absolute, report);
  if (ldap === undefined && !isLoopback(value.HOST) && !value.ALLOW_REMOTE_WITHOUT_LDAP) {
    report(
      "HOST",
      `without LDAP_URL the hub listens on loopback only (now: ${
        JSON.stringify(value.HOST)
      }); set LDAP_URL, or ALLOW_REMOTE_WITHOUT_LDAP=true`,
    );
  }
  return {
    ldap,
    groupRoles: value.LDAP_ROLES,
    recheckMs: value.AUTH_RECHECK * 1000,
    sessionIdleMs: value.SESSION_IDLE * 1000,
    sessionMaxMs: value.SESSION_MAX * 1000,
    readRequiresLogin: value.READ_REQUIRES_LOGIN,
    allowedHosts: new Set([...value.ALLOWED_HOSTS, value.HOST.toLowerCase()]),
    trustedProxies: value.TRUST_PROXY,
    corsOrigins: value.CORS_ORIGINS,
    writesPerMinute: value.RATE_WRITES,
    readsPerMinute: value.RATE_READS,
  };
}

function ldapConfig(value: Values, absolute: (path: string) => string, report: Report): LdapConfig {
  if (value.LDAP_URL.some((url) => url.startsWith("ldap:")) && !value.LDAP_STARTTLS) {
    report("LDAP_URL", "ldap:// would send passwords in clear text: use ldaps://, or set LDAP_STARTTLS=true");
  }
  if (value.LDAP_BIND_DN === undefined && value.LDAP_SEARCH_BASE === undefined) {
    report(
      "LDAP_SEARCH_BASE",
      "LDAP requires LDAP_SEARCH_BASE to search for people, or LDAP_BIND_DN (now: neither)",
    );
  }
  if ((value.LDAP_SERVICE_DN === undefined) !== (value.LDAP_SERVICE_PASSWORD_FILE === undefined)) {
    report(
      "LDAP_SERVICE_DN",
      "LDAP_SERVICE_DN and LDAP_SERVICE_PASSWORD_FILE require each other (now: only one is set)",
    );
  }
  const path = (file: string | undefined) => file === undefined ? undefined : absolute(file);
  return {
    urls: value.LDAP_URL,
    caFile: path(value.LDAP_CA_FILE),
    bindTemplate: value.LDAP_BIND_DN,
    searchBase: value.LDAP_SEARCH_BASE,
    userFilter: value.LDAP_USER_FILTER,
    userAttribute: value.LDAP_USER_ATTRIBUTE,
    serviceDn: value.LDAP_SERVICE_DN,
    servicePasswordFile: path(value.LDAP_SERVICE_PASSWORD_FILE),
    groupBase: value.LDAP_GROUP_BASE,
    groupFilter: value.LDAP_GROUP_FILTER,
    timeoutMs: value.LDAP_TIMEOUT * 1000,
  };
}

/** Whether the address is a loopback address. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^(?:::ffff:)?127\./.test(host);
}
