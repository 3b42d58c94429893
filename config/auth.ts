import { z } from "zod";

/** Settings of sign-in, roles and exposure; part of the table in config/config.ts. */
export const AUTH_SETTINGS = {
  LDAP_URL: [
    "Directory servers, tried in turn, separated by spaces: ldaps://, or ldap:// with StartTLS, which is then required",
    "none: only the admin token signs in, and the hub listens on loopback",
  ],
  LDAP_STARTTLS: [
    "`true` upgrades ldap:// connections with StartTLS; otherwise ldap:// is rejected",
    "false",
  ],
  LDAP_CA_FILE: ["PEM file of additional trusted certificate authorities", "none"],
  LDAP_BIND_DN: [
    "DN to bind as, with the placeholder `{user}`, as in `uid={user},ou=people,dc=example,dc=org`",
    "none: search",
  ],
  LDAP_SEARCH_BASE: ["Base DN of the search for people", "none"],
  LDAP_USER_FILTER: [
    "Filter for a person's entry; a person whose entry no longer matches may no longer sign in",
    "(uid={user})",
  ],
  LDAP_USER_ATTRIBUTE: ["Attribute with a person's user name", "uid"],
  LDAP_SERVICE_DN: [
    "DN of the account that searches, also for the checks every AUTH_RECHECK seconds",
    "none: search anonymously",
  ],
  LDAP_SERVICE_PASSWORD_FILE: ["File with that account's password", "none"],
  LDAP_GROUP_BASE: ["Base DN of the search for groups, in addition to `memberOf`", "none"],
  LDAP_GROUP_FILTER: [
    "Filter for a person's groups, with the placeholders `{dn}` and `{user}`",
    "(member={dn})",
  ],
  LDAP_ROLES: [
    "Roles of groups, as `role=group; role=group`, with a group's DN or plain name; roles: submitter, ingester, triager, admin",
    "none: every signed-in user is a viewer",
  ],
  LDAP_TIMEOUT: ["Time limit of each request to the directory, in seconds", "5"],
  AUTH_RECHECK: [
    "Seconds between checks that a person is still in the directory, and of the person's groups",
    "300",
  ],
  SESSION_IDLE: ["Seconds without a request after which a session expires", "28800"],
  SESSION_MAX: ["Maximum duration of a session, in seconds", "604800"],
  READ_REQUIRES_LOGIN: ["`true` requires a sign-in for reads", "false"],
  ALLOW_REMOTE_WITHOUT_LDAP: ["`true` permits listening beyond loopback without LDAP", "false"],
  ALLOWED_HOSTS: [
    "Host names that the hub answers to, without port, separated by spaces, in addition to IP addresses, localhost and HOST; others get a 421",
    "none",
  ],
  TRUST_PROXY: [
    "Addresses of proxies whose X-Forwarded-For, -Proto and -Host are trusted, separated by spaces",
    "none",
  ],
  CORS_ORIGINS: ["Origins whose pages may read from the hub in a browser, separated by spaces", "none"],
  RATE_WRITES: ["Maximum writes per minute for each person or token", "1200"],
  RATE_READS: [
    "Maximum reads per minute for each person, token or address; an expensive read or an export counts as ten",
    "6000",
  ],
} as const satisfies Record<string, readonly [string, string]>;

const ROLE_NAMES = ["submitter", "ingester", "triager", "admin"] as const;
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const yes = z.enum(["true", "false"]).default("false").transform((value) => value === "true");
const words = z.string().default("").transform((value) => value.split(/\s+/).filter(Boolean));
const withUser = z.string().includes("{user}", { error: "must contain {user}" });

/** Schemas of AUTH_SETTINGS. */
export const authEnvironment = {
  LDAP_URL: words.pipe(
    z.array(z.url({ protocol: /^ldaps?$/, error: "each must be an ldaps: or ldap: URL" })),
  ),
  LDAP_STARTTLS: yes,
  LDAP_CA_FILE: z.string().optional(),
  LDAP_BIND_DN: withUser.optional(),
  LDAP_SEARCH_BASE: z.string().optional(),
  LDAP_USER_FILTER: withUser.startsWith("(").default("(uid={user})"),
  LDAP_USER_ATTRIBUTE: z.string().regex(/^[\w-]+$/).default("uid"),
  LDAP_SERVICE_DN: z.string().optional(),
  LDAP_SERVICE_PASSWORD_FILE: z.string().optional(),
  LDAP_GROUP_BASE: z.string().optional(),
  LDAP_GROUP_FILTER: z.string().startsWith("(").default("(member={dn})"),
  LDAP_ROLES: z.string().default("").transform((value, context) => {
    const roles: { role: typeof ROLE_NAMES[number]; group: string }[] = [];
    for (const part of value.split(/[;\n]/).map((one) => one.trim()).filter(Boolean)) {
      const [, name, group] = /^(\w+)\s*=(.+)$/.exec(part) ?? [];
      const role = ROLE_NAMES.find((one) => one === name);
      if (role === undefined || group === undefined) {
        context.addIssue({
          code: "custom",
          message: `each must be role=group with a role of ${ROLE_NAMES.join(", ")}: ${JSON.stringify(part)}`,
        });
      } else roles.push({ role, group: group.trim() });
    }
    return roles;
  }),
  LDAP_TIMEOUT: whole(1, 120).default(5),
  AUTH_RECHECK: whole(5, 86_400).default(300),
  SESSION_IDLE: whole(60, 31_536_000).default(28_800),
  SESSION_MAX: whole(60, 31_536_000).default(604_800),
  READ_REQUIRES_LOGIN: yes,
  ALLOW_REMOTE_WITHOUT_LDAP: yes,
  ALLOWED_HOSTS: words.pipe(
    z.array(
      z.string().toLowerCase().regex(
        /^(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/,
        "each must be a host name, without a port",
      ),
    ),
  ),
  TRUST_PROXY: words.pipe(z.array(z.union([z.ipv4(), z.ipv6()], { error: "each must be an IP address" }))),
  CORS_ORIGINS: words.pipe(
    z.array(z.string().regex(/^https?:\/\/[^/]+$/, "each must be an origin, as in https://ci.example.org")),
  ),
  RATE_WRITES: whole(1, 10_000_000).default(1200),
  RATE_READS: whole(1, 100_000_000).default(6000),
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

const all = z.object(authEnvironment);
type Values = z.infer<typeof all>;
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
