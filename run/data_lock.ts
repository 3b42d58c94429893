/**
 * Locks of a data folder (flock), which the kernel releases when a process ends for any reason. Every hub on the folder and
 * every program that started a hub has a shared lock; the last process to leave stops the shared servers.
 */
export interface DataLock {
  /** Runs `work` exclusively: no other start or stop on the folder runs at the same time. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  /** Registers this process as a user of the folder. */
  join(): Promise<void>;
  /** Unregisters this process. Returns whether no other process uses the folder. */
  leave(): Promise<boolean>;
}

/** The file in a data folder on which every user of the folder has a shared lock. */
export const USERS_LOCK = "hubs.lock";

/** Registers this process as a user of the folder until it ends. The lock file must exist; read access suffices. */
export async function shareDataLock(folder: string): Promise<Deno.FsFile> {
  const users = await Deno.open(`${folder}/${USERS_LOCK}`, { read: true });
  await users.lock(false);
  return users;
}

/** Opens the locks of a folder. `onWait` is called if another start or stop is in progress. */
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
  // The file lock excludes other processes; this queue excludes calls within the process.
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
