import { isListening } from "../../run/listening.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { freePort, until } from "./lab.ts";

/** A slapd with TLS, some people and groups, in a temporary folder. */
export interface Slapd {
  ldaps: string;
  ldap: string;
  ports: { ldap: number; ldaps: number };
  certificates: Certificates;
  service: { dn: string; password: string };
  start(options?: { cert?: string; key?: string }): Promise<void>;
  /** Kills it, as by kill -9. */
  kill(): Promise<void>;
  /** Changes entries with LDIF, as the directory's manager. */
  modify(ldif: string): Promise<void>;
  remove(): Promise<void>;
}

export const BASE = "dc=example,dc=test";
/** Everyone's password unless stated otherwise. */
export const PASSWORD = "correct horse";

const PEOPLE = ["ada", "bob", "eve", "mal", "old", "we(i)rd*", "com,ma"];

const POLICIES = [
  `dn: cn=policy,${BASE}\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\npwdLockout: TRUE\npwdMaxAge: 0\n`,
  `dn: cn=short,${BASE}\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\ncn: short\npwdAttribute: userPassword\npwdMaxAge: 1\npwdGraceAuthNLimit: 0\n`,
];

function ldif({ hasPolicy }: { hasPolicy: boolean }): string {
  const person = (name: string) =>
    `dn: uid=${name.replaceAll(",", "\\,")},ou=people,${BASE}
objectClass: inetOrgPerson
uid: ${name}
cn: ${name}
sn: ${name}
userPassword: ${PASSWORD}
`;
  const group = (name: string, members: string[]) =>
    `dn: cn=${name},ou=groups,${BASE}
objectClass: groupOfNames
cn: ${name}
${members.map((member) => `member: uid=${member.replaceAll(",", "\\,")},ou=people,${BASE}`).join("\n")}
`;
  return [
    `dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n`,
    ...["people", "groups"].map((name) =>
      `dn: ou=${name},${BASE}\nobjectClass: organizationalUnit\nou: ${name}\n`
    ),
    `dn: cn=reader,${BASE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: reading\n`,
    ...(hasPolicy ? POLICIES : []),
    ...PEOPLE.map(person),
    group("hub-admins", ["ada"]),
    group("hub-submitters", ["bob", "com,ma"]),
  ].join("\n");
}

interface ConfigOptions {
  cert: string;
  key: string;
  ca: string;
  hasPolicy: boolean;
}

function configOf(folder: string, { cert, key, ca, hasPolicy }: ConfigOptions): string {
  const module = (name: string) => `moduleload ${name}`;
  const schema = (name: string) => `include /etc/ldap/schema/${name}.schema`;
  return [
    ...["core", "cosine", "inetorgperson"].map(schema),
    "modulepath /usr/lib/ldap",
    ...["back_mdb", ...(hasPolicy ? ["ppolicy"] : []), "memberof"].map(module),
    `pidfile ${folder}/slapd.pid`,
    `TLSCertificateFile ${cert}`,
    `TLSCertificateKeyFile ${key}`,
    `TLSCACertificateFile ${ca}`,
    "database mdb",
    `suffix "${BASE}"`,
    `rootdn "cn=manager,${BASE}"`,
    "rootpw managing",
    `directory ${folder}/db`,
    "maxsize 16777216",
    ...(hasPolicy ? ["overlay ppolicy", `ppolicy_default "cn=policy,${BASE}"`] : []),
    "overlay memberof",
    `access to attrs=userPassword by anonymous auth by * none`,
    `access to * by dn.exact="cn=reader,${BASE}" read by users read by * none`,
  ].join("\n") + "\n";
}

/** Creates and starts the directory. `hasPolicy`: with the overlay ppolicy, without which its attributes are unknown. */
export async function startSlapd({ hasPolicy = true } = {}): Promise<Slapd> {
  const folder = await Deno.makeTempDir({ prefix: "chub-slapd-" });
  await Deno.mkdir(`${folder}/db`);
  const certificates = await makeCertificates(folder);
  const ports = { ldap: freePort(), ldaps: freePort() };
  const config = `${folder}/slapd.conf`;
  const env = { PATH: `${Deno.env.get("PATH")}:/usr/sbin` };
  let server: Deno.ChildProcess | undefined;
  const run = async (program: string, args: string[], input = "") => {
    const child = new Deno.Command(program, { args, env, stdin: "piped", stdout: "null", stderr: "piped" })
      .spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const { success, stderr } = await child.output();
    if (!success) throw new Error(`${program}: ${new TextDecoder().decode(stderr)}`);
  };
  const slapd: Slapd = {
    ldaps: `ldaps://localhost:${ports.ldaps}`,
    ldap: `ldap://localhost:${ports.ldap}`,
    ports,
    certificates,
    service: { dn: `cn=reader,${BASE}`, password: "reading" },
    async start({ cert = certificates.cert, key = certificates.key } = {}) {
      await Deno.writeTextFile(config, configOf(folder, { cert, key, ca: certificates.ca, hasPolicy }));
      server = new Deno.Command("slapd", {
        args: [
          "-d",
          "0",
          "-f",
          config,
          "-h",
          `ldap://127.0.0.1:${ports.ldap} ldaps://127.0.0.1:${ports.ldaps}`,
        ],
        env,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
      await until(() => isListening(`http://127.0.0.1:${ports.ldaps}`), Boolean);
    },
    async kill() {
      server?.kill("SIGKILL");
      await server?.status;
      server = undefined;
    },
    modify: (text) =>
      run("ldapmodify", [
        "-x",
        ...["-H", `ldap://127.0.0.1:${ports.ldap}`, "-D", `cn=manager,${BASE}`, "-w", "managing"],
      ], text),
    async remove() {
      await slapd.kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
  await Deno.writeTextFile(config, configOf(folder, { ...certificates, hasPolicy }));
  await run("slapadd", ["-f", config], ldif({ hasPolicy }));
  await slapd.start();
  return slapd;
}
