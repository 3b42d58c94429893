import { createHash } from "node:crypto";

/** A strong entity tag (RFC 9110, section 8.8.3) of a response's text, or of what identifies it. */
export function entityTag(content: string | Uint8Array): string {
  return `"${createHash("sha1").update(content).digest("base64url").slice(0, 16)}"`;
}

/** Parses `If-None-Match`, whose comparison ignores weakness (section 13.1.2). */
export function parseTags(header: string | undefined): string[] {
  return header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
}

/** Whether the client's tags include this one. */
export function isKnownTag(knownTags: readonly string[], tag: string): boolean {
  return knownTags.includes(tag) || knownTags.includes("*");
}
