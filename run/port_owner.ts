/** The process that listens on a TCP port of this machine, as `process 123 (nginx)`; undefined if none or unknown. */
export async function portOwner(home: string, port: number | string): Promise<string | undefined> {
  const { stdout } = await new Deno.Command("sh", {
    args: [`${home}/run/port_owner.sh`, String(port)],
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).trim() || undefined;
}
