import { signalProcess } from "../../run/kill.ts";

/** Sends SIGTERM to a process; no effect if it has ended. @throws RangeError if `pid` is not the id of one process */
export function endProcess(pid: number, signal: Deno.Signal = "SIGTERM"): void {
  signalProcess(pid, signal);
}

export interface ProcessInfo {
  pid: number;
  parent: number;
  /** Program and arguments, separated by spaces. */
  command: string;
}

/** The processes of this machine from /proc; none without /proc. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  const entries = await Array.fromAsync(Deno.readDir("/proc")).catch(() => []);
  for (const { name } of entries) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await Deno.readTextFile(`/proc/${name}/stat`);
      const command = await Deno.readTextFile(`/proc/${name}/cmdline`);
      // The second field, the program's name in parentheses, may contain spaces.
      const parent = Number(stat.slice(stat.lastIndexOf(")")).split(" ")[2]);
      found.push({ pid: Number(name), parent, command: command.replaceAll("\0", " ").trim() });
    } catch {
      // The process has ended.
    }
  }
  return found;
}
