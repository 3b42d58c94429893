import type { Config } from "../../config/config.ts";
import { HubError } from "../../errors.ts";

/** A named secret, and where it may be sent. Its value is read when it is sent, and kept nowhere. */
export interface SecretBinding {
  name: string;
  /** Origins, as in `https://ci.example.org`. */
  origins: readonly string[];
  /** The file, or variable of the environment, that holds it. */
  place: string;
  read(): Promise<string | undefined>;
}

/** What scrapers may read; from the configuration. */
export interface ReadPolicy {
  /** `host` or `host:port`. */
  hosts: readonly string[];
  /** Absolute folders. */
  roots: readonly string[];
  /** Absolute; what the hub keeps is not read, but the drop in it. */
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

/** The URL, if it may be read. @throws HubError BAD_REQUEST that says what to set. */
export function checkUrl(allow: ReadPolicy, address: string | URL): URL {
  if (!URL.canParse(address)) {
    throw new HubError("BAD_REQUEST", `${JSON.stringify(String(address))} is not a URL.`);
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
      `A URL to read must hold no name and no password, since it is told to all: name a secret of SCRAPE_SECRETS instead (host: ${url.host}).`,
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

/** The real path, if it may be read. @throws HubError BAD_REQUEST that says what to set, NOT_FOUND. */
export async function checkPath(allow: ReadPolicy, path: string): Promise<string> {
  const real = await Deno.realPath(path).catch(() => undefined);
  const roots = await Promise.all(allow.roots.map((root) => Deno.realPath(root).catch(() => root)));
  const data = await Deno.realPath(allow.dataDir).catch(() => allow.dataDir);
  if (real === undefined) {
    if (roots.some((root) => isUnder(path, root))) throw new HubError("NOT_FOUND", `There is no ${path}.`);
  } else if (roots.some((root) => isUnder(real, root))) {
    if (!isUnder(real, data) || isUnder(real, `${data}/drop`)) return real;
    throw new HubError("BAD_REQUEST", `Scrapers may not read ${path}: the hub's own data lies there.`);
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
