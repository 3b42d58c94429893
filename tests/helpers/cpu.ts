import process from "node:process";

/** Milliseconds of CPU time that this process takes for `work`: unlike those of a clock, the same on a busy machine. */
export async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
