/** Settings of external sources: drop roots and scraper secrets. */
export interface DropRoot {
  /** The root's name, or its URL if it has no name. */
  name: string;
  url: string;
}

export interface ScrapeSecret {
  name: string;
  /** Origins, as in `https://ci.example.org`. */
  origins: string[];
  /** The absolute path of the file, or the name of the environment variable, that contains the value. */
  place: string;
  /** Reads the present value; undefined if it is unset. */
  read(): Promise<string | undefined>;
}

export function fileUrl(path: string): string {
  return `file://${path.split("/").map(encodeURIComponent).join("/")}`;
}

export function dropRoots(
  value: string,
  home: string,
  issues: { path: string; message: string }[],
): DropRoot[] {
  return value.split(/\s+/).filter(Boolean).map((word) => {
    const [, name, rest] = /^(?:([\w.-]+)=)?(.*)$/.exec(word) ?? [];
    let url = rest ?? "";
    if (/^(?:\.{0,2}\/|[\w.-]+$)/.test(url)) url = fileUrl(url.startsWith("/") ? url : `${home}/${url}`);
    if (!/^(?:file:\/\/\/|(?:(?:index|s3|gcs)\+)?https?:\/\/)/.test(url) || !URL.canParse(url)) {
      issues.push({
        path: "DROP_URLS",
        message: `each root must be a file:, http:, https:, s3+https: or gcs+https: URL (now: ${
          JSON.stringify(word)
        })`,
      });
    }
    url = url.replace(/(?<!\/)\/+$/, "");
    return { name: name ?? url, url };
  });
}

export function scrapeSecrets(
  value: string,
  { folder, issues }: { folder: string | undefined; issues: { path: string; message: string }[] },
): ScrapeSecret[] {
  return value.split(/\s+/).filter(Boolean).map((word) => {
    const [, name = "", hosts = ""] = /^([a-z0-9][a-z0-9_-]{0,62})@(.+)$/i.exec(word) ?? [];
    const origins = hosts.split(",").map((host) => {
      const url = /^https?:\/\//.test(host) ? host : `https://${host}`;
      return URL.canParse(url) && /^https?:\/\/[^/?#@]+$/.test(url) ? new URL(url).origin : undefined;
    });
    if (name === "" || origins.includes(undefined)) {
      issues.push({
        path: "SCRAPE_SECRETS",
        message: `each word must be name@host[:port][,host...] (now: ${JSON.stringify(word)})`,
      });
    }
    const place = folder === undefined
      ? `SCRAPE_SECRET_${name.toUpperCase().replaceAll("-", "_")}`
      : `${folder}/${name}`;
    return {
      name,
      origins: origins.filter((origin) => origin !== undefined),
      place,
      read: () =>
        folder === undefined
          ? Promise.resolve(Deno.env.get(place))
          : Deno.readTextFile(place).catch(() => undefined),
    };
  });
}
