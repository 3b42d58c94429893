/**
 * Returns `id` if it can be the id of one process or process group. To the kernel, 0 means the caller's own group, -1 every
 * process and other negative numbers groups, and C calls convert values such as Infinity to such numbers.
 * @throws RangeError if it is not 2 to 2147483647
 */
export function processId(id: number): number {
  if (!Number.isInteger(id) || id < 2 || id > 0x7fff_ffff) {
    throw new RangeError(`A process id must be 2 to ${0x7fff_ffff}, got ${id}; no signal was sent.`);
  }
  return id;
}

/** Sends a signal to one process; no effect if it has ended. @throws RangeError if `pid` is not the id of one process */
export function signalProcess(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(processId(pid), signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
