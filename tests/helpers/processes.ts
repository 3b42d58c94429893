import { signalProcess } from "../../run/kill.ts";

/** Asks a process to end, if it is there. @throws RangeError if `pid` is not the id of one process */
export function endProcess(pid: number, signal: Deno.Signal = "SIGTERM"): void {
  signalProcess(pid, signal);
}

export interface ProcessInfo {
  pid: number;
  parent: number;
  /** Program and arguments, separated by spaces. */
  command: string;
}

/** The processes of this machine, as far as /proc shows them; none where there is no /proc. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  const entries = await Array.fromAsync(Deno.readDir("/proc")).catch(() => []);
  for (const { name } of entries) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await Deno.readTextFile(`/proc/${name}/stat`);
      const command = await Deno.readTextFile(`/proc/${name}/cmdline`);
      // The second field, the program's name in brackets, may have spaces.
      const parent = Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]);
      found.push({ pid: Number(name), parent, command: command.replaceAll("\0", " ").trim() });
    } catch {
      // It has ended.
    }
  }
  return found;
}
