/** Load generators, in processes of their own. */

export interface Load {
  /** Duration of one measurement, in seconds. */
  seconds: number;
  /** Number of connections, or clients. */
  connections: number;
}

const decoder = new TextDecoder();

/**
 * Runs wrk and returns the requests per second. `lua`: the body of its `request` function.
 * @throws Error if any answer is not 2xx or 3xx
 */
export async function wrk(url: string, lua: string, { seconds, connections }: Load): Promise<number> {
  const script = await Deno.makeTempFile({ suffix: ".lua" });
  try {
    await Deno.writeTextFile(script, `math.randomseed(7)\n${lua}`);
    const out = await output("wrk", [
      ...["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url],
    ], "wrk (apt-get install wrk)");
    const bad = /Non-2xx or 3xx responses: (\d+)/.exec(out);
    if (bad !== null) throw new Error(`${bad[1]} answers of ${url} were not 2xx or 3xx`);
    return Number(/Requests\/sec:\s+([\d.]+)/.exec(out)![1]);
  } finally {
    await Deno.remove(script);
  }
}

/** Returns the transactions per second of `pgbench -M prepared` with a script. */
export async function pgbench(
  databaseUrl: string,
  script: string,
  { seconds, connections }: Load,
): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".sql" });
  try {
    await Deno.writeTextFile(file, script);
    const out = await output(
      await programOfPostgres("pgbench"),
      [
        ...["-M", "prepared", "-n", "-c", String(connections), "-j", "1", "-T", String(seconds), "-f", file],
        databaseUrl,
      ],
      "pgbench (apt-get install postgresql-contrib)",
    );
    return Number(/tps = ([\d.]+)/.exec(out)![1]);
  } finally {
    await Deno.remove(file);
  }
}

/** Returns the path of a program of Debian's Postgres, which is not on PATH. */
async function programOfPostgres(name: string): Promise<string> {
  const folder = "/usr/lib/postgresql";
  const versions = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  const newest = versions.map((entry) => Number(entry.name)).sort((a, b) => a - b).at(-1);
  return newest === undefined ? name : `${folder}/${newest}/bin/${name}`;
}

export async function output(
  program: string,
  args: string[],
  what = program,
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<string> {
  const command = new Deno.Command(program, { args, ...options });
  const ran = await command.output().catch((error) => {
    throw new Error(`This benchmark requires ${what}: ${error.message}`);
  });
  const text = decoder.decode(ran.stdout);
  if (!ran.success) throw new Error(`${program} ${args.join(" ")}: ${text}${decoder.decode(ran.stderr)}`);
  return text;
}

/** Returns a free port. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
