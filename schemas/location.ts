/**
 * URL of a build in a drop root: the root's URL without the word that says how it is listed, a bucket's `prefix`, package
 * and file. Names are data: each is percent-encoded, so that none of them can name another place.
 */
export function locationOf(rootUrl: string, packageName: string, file: string): string {
  return [baseOf(rootUrl), encodePart(packageName), encodePart(file)].join("/");
}

/** URL that the folders of a drop root's packages lie under. */
export function baseOf(rootUrl: string): string {
  const url = new URL(rootUrl.replace(/^(?:index|s3|gcs)\+/, ""));
  const prefix = (url.searchParams.get("prefix") ?? "").split("/").filter((part) => part !== "");
  url.search = "";
  return [url.href.replace(/(?<!\/)\/+$/, ""), ...prefix.map(encodePart)].join("/");
}

function encodePart(part: string): string {
  return /^\.{1,2}$/.test(part) ? part.replaceAll(".", "%2E") : encodeURIComponent(part.toWellFormed());
}
