/**
 * Locks of a data folder (flock), which the kernel releases when a process ends, however it ends. Each hub on the folder, and
 * each program that started one, shares one; the last one out stops what they share.
 */
export interface DataLock {
  /** Runs `work` while no other start or stop on the folder prepares or stops anything. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Counts this process as one that uses the folder. */
  join(): Promise<void>;
  /** Ends that. Returns whether no other process uses the folder. */
  leave(): Promise<boolean>;
}

/** The file in a data folder that each of its users shares a lock of. */
export const USERS_LOCK = "hubs.lock";

/** Counts this process as one that uses the folder, as long as it lives. The file is there, and only read. */
export async function shareDataLock(folder: string): Promise<Deno.FsFile> {
  const users = await Deno.open(`${folder}/${USERS_LOCK}`, { read: true });
  await users.lock(false);
  return users;
}

/** `onWait` is called if another start or stop is at work. */
export async function openDataLock(folder: string, onWait: () => void): Promise<DataLock> {
  const options = { create: true, read: true, write: true, mode: 0o600 };
  const turn = await Deno.open(`${folder}/start.lock`, options);
  const users = await Deno.open(`${folder}/${USERS_LOCK}`, options);
  async function exclude<T>(work: () => Promise<T>): Promise<T> {
    if (!await turn.tryLock(true)) {
      onWait();
      await turn.lock(true);
    }
    try {
      return await work();
    } finally {
      await turn.unlock();
    }
  }
  // The lock is the process's; within the process one waits for the other here.
  let last: Promise<unknown> = Promise.resolve();
  return {
    alone<T>(work: () => Promise<T>): Promise<T> {
      const mine = last.then(() => exclude(work));
      last = mine.catch(() => {});
      return mine;
    },
    join: () => users.lock(false),
    async leave() {
      const isLast = await users.tryLock(true);
      await users.unlock();
      return isLast;
    },
  };
}
