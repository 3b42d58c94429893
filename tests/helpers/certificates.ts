/** Paths of PEM files. */
export interface Certificates {
  ca: string;
  /** Another authority, which issued none of these certificates. */
  otherCa: string;
  /** For localhost and 127.0.0.1. */
  cert: string;
  key: string;
  /** For elsewhere.test only. */
  elsewhereCert: string;
  elsewhereKey: string;
}

async function openssl(folder: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder, stdout: "null" })
    .output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Creates an authority and certificates issued by it in `folder`, with openssl. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const authority = (name: string) =>
    openssl(folder, [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -batch".split(" "),
      ...["-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.pem`],
    ]);
  const issue = async (name: string, hosts: string) => {
    await openssl(folder, [
      ..."req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch".split(" "),
      ...["-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`],
    ]);
    await Deno.writeTextFile(`${folder}/${name}.ext`, `subjectAltName=${hosts}\n`);
    await openssl(folder, [
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
    ]);
  };
  await authority("ca");
  await authority("other");
  await issue("server", "DNS:localhost,IP:127.0.0.1");
  await issue("elsewhere", "DNS:elsewhere.test");
  return {
    ca: `${folder}/ca.pem`,
    otherCa: `${folder}/other.pem`,
    cert: `${folder}/server.pem`,
    key: `${folder}/server.key`,
    elsewhereCert: `${folder}/elsewhere.pem`,
    elsewhereKey: `${folder}/elsewhere.key`,
  };
}
