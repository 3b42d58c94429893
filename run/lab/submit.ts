/** The embedded vrlsubmit: hands a submission to the lab over HTTP. Exit 1 is a refusal, 2 wrong usage. */
const USAGE =
  `usage: vrlsubmit -s <server: host[:port]> -u <user> -o <os> -t <test> -z <package url> -n <note> -r email|none ( -m <machine> | -l <pool> )
The lab's token is read from the file that VRL_TOKEN_FILE names.`;
const FLAGS: Record<string, string> = {
  "-s": "server",
  "-u": "submittedBy",
  "-o": "os",
  "-t": "test",
  "-z": "packageUrl",
  "-n": "note",
  "-r": "report",
  "-m": "machine",
  "-l": "pool",
};
const NEEDED = ["-s", "-u", "-o", "-t", "-z", "-n", "-r"];

function fail(code: number, message: string): never {
  console.error(message);
  Deno.exit(code);
}

if (Deno.args.includes("--help")) {
  console.log(USAGE);
  Deno.exit(0);
}
const given = new Map<string, string>();
for (let at = 0; at < Deno.args.length; at += 2) {
  const [flag, value] = [Deno.args[at]!, Deno.args[at + 1]];
  if (!(flag in FLAGS) || value === undefined || given.has(flag)) {
    fail(2, `${flag} is not known, has no value, or is given twice\n${USAGE}`);
  }
  given.set(flag, value);
}
const missing = NEEDED.filter((flag) => !given.has(flag));
if (missing.length > 0 || !given.has("-m") && !given.has("-l")) {
  fail(2, `missing: ${missing.join(" ") || "-m or -l"}\n${USAGE}`);
}

const body = Object.fromEntries([...given].map(([flag, value]) => [FLAGS[flag]!, value]));
const tokenFile = Deno.env.get("VRL_TOKEN_FILE");
const token = tokenFile === undefined ? "" : (await Deno.readTextFile(tokenFile)).trim();
try {
  const response = await fetch(`http://${body.server}/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json();
  if (!response.ok) fail(1, String(answer.error ?? `the lab answered ${response.status}`));
  console.log(`Submission accepted as job(s) ${answer.serials.join(" ")}`);
} catch (error) {
  fail(1, `the lab at ${body.server} cannot be reached: ${(error as Error).message}`);
}
