import { HubError } from "../../errors.ts";
import type { ReadPolicy, SecretBinding } from "./read_policy.ts";

/** The secret to send with a request, and its form: HTTP Basic (`user:password`), a bearer token, or a header's value. */
export interface SentSecret {
  name: string;
  as: "basic" | "bearer" | { header: string };
}

/** @throws HubError BAD_REQUEST when the secret does not exist or is not bound to that origin */
export function checkSecret(allow: ReadPolicy, name: string, address: string | URL): void {
  bindingOf(allow, name, new URL(address));
}

function bindingOf({ secrets }: ReadPolicy, name: string, url: URL): SecretBinding {
  const binding = secrets.find((one) => one.name === name);
  if (binding === undefined) {
    throw new HubError(
      "BAD_REQUEST",
      `There is no secret ${JSON.stringify(name)}: add it to SCRAPE_SECRETS (now: ${
        secrets.map((one) => one.name).join(" ") || "none"
      }).`,
      { issues: [{ path: "settings.secret", message: "is not a known secret" }] },
    );
  }
  if (!binding.origins.includes(url.origin)) {
    throw new HubError(
      "BAD_REQUEST",
      `The secret ${name} may not be sent to ${url.origin}: SCRAPE_SECRETS binds it to ${
        binding.origins.join(", ")
      }.`,
      { issues: [{ path: "settings.secret", message: "is not for that host" }] },
    );
  }
  return binding;
}

/**
 * Makes the header that sends a secret to a URL.
 * @throws HubError BAD_REQUEST (unknown secret, or not bound to that origin), SERVICE_UNAVAILABLE (no value, or a value that
 * is not one line of plain text)
 */
export async function secretHeader(
  allow: ReadPolicy,
  url: URL,
  { name, as }: SentSecret,
): Promise<Record<string, string>> {
  const binding = bindingOf(allow, name, url);
  const { place } = binding;
  const value = (await binding.read())?.trim();
  if (!value) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The secret ${name} has no value: ${place} is missing or empty.`,
    );
  }
  if (!/^[\x20-\x7e]+$/.test(value) && as !== "basic" || /\p{Cc}/u.test(value)) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `The secret ${name} (${place}) must be one line of printable ASCII text.`,
    );
  }
  if (as === "bearer") return { authorization: `Bearer ${value}` };
  if (as !== "basic") return { [as.header]: value };
  const pair = new TextEncoder().encode(value.includes(":") ? value : `${value}:`);
  return { authorization: `Basic ${btoa(String.fromCharCode(...pair))}` };
}
