import { z } from "zod";

/** Settings of sign-in, roles and exposure; part of the table in config/config.ts. */
export const AUTH_SETTINGS = {
  LDAP_URL: [
    "Directory servers, tried in turn, separated by spaces: ldaps://, or ldap:// with StartTLS, which is then required",
    "none: only the admin token signs in, and the hub listens on loopback",
  ],
  LDAP_STARTTLS: [
    "`true` to say that ldap:// servers are upgraded by StartTLS; without it ldap:// is refused",
    "false",
  ],
  LDAP_CA_FILE: ["PEM file of certificate authorities to trust besides the usual ones", "none"],
  LDAP_BIND_DN: [
    "DN to bind as, with `{user}`, as in `uid={user},ou=people,dc=example,dc=org`",
    "none: search",
  ],
  LDAP_SEARCH_BASE: ["Where people are searched for", "none"],
  LDAP_USER_FILTER: [
    "Finds a person's entry; an entry it no longer finds may no longer sign in",
    "(uid={user})",
  ],
  LDAP_USER_ATTRIBUTE: ["Attribute that names a person here", "uid"],
  LDAP_SERVICE_DN: ["Who searches, and looks again every AUTH_RECHECK seconds", "nobody in particular"],
  LDAP_SERVICE_PASSWORD_FILE: ["File with that account's password", "none"],
  LDAP_GROUP_BASE: ["Where groups are searched for, beside `memberOf`", "none"],
  LDAP_GROUP_FILTER: ["Finds a person's groups by `{dn}` or `{user}`", "(member={dn})"],
  LDAP_ROLES: [
    "Roles of groups, as `role=group; role=group`, a group by its DN or plain name; roles are submitter, ingester, triager, admin",
    "none: whoever signs in is a viewer",
  ],
  LDAP_TIMEOUT: ["Seconds for each step of asking the directory", "5"],
  AUTH_RECHECK: [
    "Seconds after which the directory is asked again whether someone is still there, and in which groups",
    "300",
  ],
  SESSION_IDLE: ["Seconds without a request after which a session is over", "28800"],
  SESSION_MAX: ["Seconds after which a session is over in any case", "604800"],
  READ_REQUIRES_LOGIN: ["`true` closes reads to the signed-out", "false"],
  ALLOW_REMOTE_WITHOUT_LDAP: ["`true` lets the hub listen beyond loopback without LDAP", "false"],
  ALLOWED_HOSTS: [
    "Names that the hub answers to, without port, separated by spaces, besides IP addresses, localhost and HOST; others get a 421",
    "none",
  ],
  TRUST_PROXY: [
    "Addresses of proxies whose X-Forwarded-For, -Proto and -Host are believed, separated by spaces",
    "none",
  ],
  CORS_ORIGINS: ["Origins that may read from a browser, separated by spaces", "none"],
  RATE_WRITES: ["Writes a minute that one person or token may make", "1200"],
  RATE_READS: [
    "Reads a minute that one person, token or address may make; an expensive one, or an export, counts ten",
    "6000",
  ],
} as const satisfies Record<string, readonly [string, string]>;

const ROLE_NAMES = ["submitter", "ingester", "triager", "admin"] as const;
const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const yes = z.enum(["true", "false"]).default("false").transform((value) => value === "true");
const words = z.string().default("").transform((value) => value.split(/\s+/).filter(Boolean));
const withUser = z.string().includes("{user}", { error: "must hold {user}" });

/** The schemas of AUTH_SETTINGS. */
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
  /** Undefined where no directory is named. */
  ldap: LdapConfig | undefined;
  /** Roles of groups, by DN or plain name. */
  groupRoles: { role: typeof ROLE_NAMES[number]; group: string }[];
  recheckMs: number;
  sessionIdleMs: number;
  sessionMaxMs: number;
  readRequiresLogin: boolean;
  /** In lower case, with HOST. */
  allowedHosts: ReadonlySet<string>;
  trustedProxies: string[];
  corsOrigins: string[];
  writesPerMinute: number;
  readsPerMinute: number;
}

const all = z.object(authEnvironment);
type Values = z.infer<typeof all>;
type Report = (path: string, message: string) => void;

/** The settings as the hub uses them; what does not go together is reported. */
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
      "LDAP needs LDAP_SEARCH_BASE to search for people, or LDAP_BIND_DN (now: neither)",
    );
  }
  if ((value.LDAP_SERVICE_DN === undefined) !== (value.LDAP_SERVICE_PASSWORD_FILE === undefined)) {
    report(
      "LDAP_SERVICE_DN",
      "LDAP_SERVICE_DN and LDAP_SERVICE_PASSWORD_FILE go together (now: one of them)",
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

/** Whether an address is this machine's own. */
function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^(?:::ffff:)?127\./.test(host);
}
