/**
 * Locks of a data folder (flock), which the kernel releases when a process ends, however it ends. Each hub on the folder
 * shares one; the last one out stops what they share.
 */
export interface DataLock {
  /** Runs `work` while no other start or stop on the folder prepares or stops anything. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Counts this process as one that uses the folder. */
  join(): Promise<void>;
  /** Ends that. Returns whether no other process uses the folder. */
  leave(): Promise<boolean>;
}

/** `onWait` is called if another start or stop is at work. */
export async function openDataLock(folder: string, onWait: () => void): Promise<DataLock> {
  const options = { create: true, read: true, write: true, mode: 0o600 };
  const turn = await Deno.open(`${folder}/start.lock`, options);
  const users = await Deno.open(`${folder}/hubs.lock`, options);
  return {
    async alone(work) {
      if (!await turn.tryLock(true)) {
        onWait();
        await turn.lock(true);
      }
      try {
        return await work();
      } finally {
        await turn.unlock();
      }
    },
    join: () => users.lock(false),
    async leave() {
      const isLast = await users.tryLock(true);
      await users.unlock();
      return isLast;
    },
  };
}
