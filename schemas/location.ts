/**
 * URL of a build in a drop root: the root's URL without its `index+`, `s3+` or `gcs+`, then a bucket's `prefix`, the package
 * and the file. Names are untrusted: each is percent-encoded, so that no name can leave its folder.
 */
export function locationOf(rootUrl: string, packageName: string, file: string): string {
  return [baseOf(rootUrl), encodePart(packageName), encodePart(file)].join("/");
}

/** URL of the folder that contains a drop root's package folders. */
export function baseOf(rootUrl: string): string {
  const url = new URL(rootUrl.replace(/^(?:index|s3|gcs)\+/, ""));
  const prefix = (url.searchParams.get("prefix") ?? "").split("/").filter((part) => part !== "");
  url.search = "";
  return [url.href.replace(/(?<!\/)\/+$/, ""), ...prefix.map(encodePart)].join("/");
}

function encodePart(part: string): string {
  return /^\.{1,2}$/.test(part) ? part.replaceAll(".", "%2E") : encodeURIComponent(part.toWellFormed());
}
