import type { LdapConfig } from "../config/auth.ts";
import { HubError } from "../errors.ts";
import { createDirectory, type Directory } from "./ldap.ts";

/** Opens the LDAP directory of the settings, if any. @throws HubError SERVICE_UNAVAILABLE if a file of it is unusable */
export async function openDirectory(config: LdapConfig | undefined): Promise<Directory | undefined> {
  if (config === undefined) return undefined;
  const { caFile, serviceDn, servicePasswordFile, ...rest } = config;
  const ca = caFile === undefined ? undefined : await read(caFile, "LDAP_CA_FILE");
  const password = servicePasswordFile === undefined
    ? undefined
    : (await read(servicePasswordFile, "LDAP_SERVICE_PASSWORD_FILE")).replace(/\r?\n$/, "");
  if (ca !== undefined && !ca.includes("-----BEGIN CERTIFICATE-----")) {
    throw new HubError("SERVICE_UNAVAILABLE", `${caFile} (LDAP_CA_FILE) contains no PEM certificate.`);
  }
  if (password === "") {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `${servicePasswordFile} (LDAP_SERVICE_PASSWORD_FILE) is empty.`,
    );
  }
  const service = serviceDn === undefined || password === undefined ? undefined : { dn: serviceDn, password };
  return createDirectory({ ...rest, ca, service });
}

async function read(path: string, setting: string): Promise<string> {
  return await Deno.readTextFile(path).catch((error) => {
    throw new HubError("SERVICE_UNAVAILABLE", `${path} (${setting}) cannot be read: ${error.message}`);
  });
}
