import process from "node:process";

/** CPU time that this process takes for `work`, in ms. Unlike elapsed time, independent of other load. */
export async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
