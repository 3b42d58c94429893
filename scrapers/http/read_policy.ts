import type { Config } from "../../config/config.ts";
import { HubError } from "../../errors.ts";

/** A named secret and the origins it may be sent to. Its value is read for each request and never cached. */
export interface SecretBinding {
  name: string;
  /** Origins, as in `https://ci.example.org`. */
  origins: readonly string[];
  /** The file or environment variable that contains it. */
  place: string;
  read(): Promise<string | undefined>;
}

/** The hosts and folders that scrapers may read, from the configuration. */
export interface ReadPolicy {
  /** `host` or `host:port`. */
  hosts: readonly string[];
  /** Absolute folders. */
  roots: readonly string[];
  /** Absolute path of the hub's data. Scrapers may read only `drop` in it. */
  dataDir: string;
  labUrl: string | undefined;
  secrets: readonly SecretBinding[];
}

export function readPolicyOf(config: Readonly<Config>): ReadPolicy {
  return {
    hosts: config.scrapeHosts,
    roots: config.scrapeRoots,
    dataDir: config.dataDir,
    labUrl: config.vrlUrl,
    secrets: config.scrapeSecrets,
  };
}

/** Returns the URL if scrapers may read it. @throws HubError BAD_REQUEST that names the setting to change. */
export function checkUrl(allow: ReadPolicy, address: string | URL): URL {
  if (!URL.canParse(address)) {
    throw new HubError("BAD_REQUEST", `${JSON.stringify(String(address))} is not a valid URL.`);
  }
  const url = new URL(address);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new HubError(
      "BAD_REQUEST",
      `${url.href} cannot be read: scrapers read http and https, not ${url.protocol}`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new HubError(
      "BAD_REQUEST",
      `A URL must not contain a user name or password, since every user can see it: use a secret of SCRAPE_SECRETS instead (host: ${url.host}).`,
    );
  }
  const isLab = allow.labUrl !== undefined && new URL(allow.labUrl).origin === url.origin;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  const isAllowed = isLab ||
    allow.hosts.some((host) =>
      host === url.hostname || host === url.host || host === `${url.hostname}:${port}`
    );
  if (isAllowed) return url;
  throw new HubError(
    "BAD_REQUEST",
    `Scrapers may not read ${url.host}: add it to SCRAPE_HOSTS (now: ${allow.hosts.join(" ") || "none"}).`,
  );
}

/** Returns the real path if scrapers may read it. @throws HubError BAD_REQUEST that names the setting to change, NOT_FOUND. */
export async function checkPath(allow: ReadPolicy, path: string): Promise<string> {
  const real = await Deno.realPath(path).catch(() => undefined);
  const roots = await Promise.all(allow.roots.map((root) => Deno.realPath(root).catch(() => root)));
  const data = await Deno.realPath(allow.dataDir).catch(() => allow.dataDir);
  if (real === undefined) {
    if (roots.some((root) => isUnder(path, root))) throw new HubError("NOT_FOUND", `There is no ${path}.`);
  } else if (roots.some((root) => isUnder(real, root))) {
    if (!isUnder(real, data) || isUnder(real, `${data}/drop`)) return real;
    throw new HubError("BAD_REQUEST", `Scrapers may not read ${path}: it is in the hub's own data folder.`);
  }
  throw new HubError(
    "BAD_REQUEST",
    `Scrapers may not read ${path}: it is not under a folder of SCRAPE_ROOTS (now: ${
      allow.roots.join(" ") || "none"
    }).`,
  );
}

function isUnder(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}
