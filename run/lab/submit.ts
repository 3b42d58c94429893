import { VRLSUBMIT_EXIT } from "../exit_codes.ts";

/**
 * The embedded vrlsubmit: submits a job to the lab over HTTP. Exit codes: 0: accepted; 1, or 2 for wrong usage: refused, the
 * lab does not have the job; 75: not sent, the lab is unreachable; 76: sent, but it is unknown whether the lab has the job.
 */
const REFUSED = 1;
const USAGE_ERROR = 2;
const { unsent: UNSENT, unknown: UNKNOWN } = VRLSUBMIT_EXIT;
const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
const MAX_ANSWER = 1 << 20;
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
const REQUIRED = ["-s", "-u", "-o", "-t", "-z", "-n", "-r"];

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
    fail(USAGE_ERROR, `${flag} is unknown, has no value, or is given twice\n${USAGE}`);
  }
  given.set(flag, value);
}
const missing = REQUIRED.filter((flag) => !given.has(flag));
if (missing.length > 0 || !given.has("-m") && !given.has("-l")) {
  fail(USAGE_ERROR, `missing: ${missing.join(" ") || "-m or -l"}\n${USAGE}`);
}

const body = Object.fromEntries([...given].map(([flag, value]) => [FLAGS[flag]!, value]));
const tokenFile = Deno.env.get("VRL_TOKEN_FILE");
const token = tokenFile === undefined ? "" : await readToken(tokenFile);
const url = `http://${body.server}/jobs`;
if (!URL.canParse(url)) fail(USAGE_ERROR, `-s must be host[:port], got ${body.server}`);
await connect(new URL(url));
await submit();

async function readToken(path: string): Promise<string> {
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    fail(UNSENT, `the lab's token in ${path} (VRL_TOKEN_FILE) cannot be read: ${(error as Error).message}`);
  }
}

/** Connects once before `fetch`, which does not report whether a failure came before anything was sent. */
async function connect({ hostname, port }: URL): Promise<void> {
  const timer = setTimeout(
    () => fail(UNSENT, `the lab at ${body.server} did not accept a connection within ${CONNECT_MS / 1000} s`),
    CONNECT_MS,
  );
  try {
    (await Deno.connect({ hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) })).close();
  } catch (error) {
    fail(UNSENT, `the lab at ${body.server} is unreachable: ${(error as Error).message}`);
  }
  clearTimeout(timer);
}

async function submit(): Promise<never> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      // A redirect may mean that the lab has the job.
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await readAnswer(response);
    if (response.status === 429) fail(UNSENT, `the lab accepts no more submissions now: ${errorOf(text)}`);
    // 408: a proxy may have timed out waiting for the lab rather than for this program.
    if (response.status >= 400 && response.status < 500 && response.status !== 408) {
      fail(REFUSED, errorOf(text) ?? `the lab answered ${response.status}`);
    }
    const serials = response.ok ? serialsOf(text) : undefined;
    if (serials === undefined) {
      fail(
        UNKNOWN,
        `the lab answered ${response.status} without a serial: ${JSON.stringify(text.slice(0, 200))}`,
      );
    }
    console.log(`Submission accepted as job(s) ${serials.join(" ")}`);
    Deno.exit(0);
  } catch (error) {
    fail(UNKNOWN, `the lab's answer was lost: ${(error as Error).message}`);
  }
}

/** Reads a response. @throws Error if it is longer than `MAX_ANSWER` characters */
async function readAnswer(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_ANSWER) throw new Error(`it is longer than ${MAX_ANSWER} characters`);
  }
  return text + decoder.decode();
}

function parse(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function errorOf(text: string): string | undefined {
  const { error } = parse(text);
  return typeof error === "string" ? error : undefined;
}

function serialsOf(text: string): number[] | undefined {
  const { serials } = parse(text);
  const areGood = Array.isArray(serials) && serials.length > 0 &&
    serials.every((serial) => Number.isSafeInteger(serial) && serial > 0);
  return areGood ? serials as number[] : undefined;
}
