/** Set by run/start.sh if SIGHUP was ignored (nohup). */
export const IGNORE_HANGUP = "CHUB_IGNORE_HUP";

/** Resolves when the program at the other end of `stdin` has ended, in whatever way. */
export async function waitForEnd(stdin: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stdin.getReader();
  try {
    while (!(await reader.read()).done);
  } catch {
    // It is broken, so nothing is at its other end.
  }
}

export interface StopSignal {
  readonly isRequested: boolean;
  readonly requested: Promise<Deno.Signal>;
}

/**
 * Listens for the signals that ask this process to stop. From now on they do not end it: the caller stops what it started. A
 * terminal that closes (SIGHUP) asks too, unless `ignoreHangup`.
 */
export function listenForStop({ ignoreHangup }: { ignoreHangup: boolean }): StopSignal {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  const stop = { isRequested: false, requested: promise };
  // Deno stops ignoring SIGHUP when any signal is listened to.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      if (signal === "SIGHUP" && ignoreHangup) return;
      stop.isRequested = true;
      resolve(signal);
    });
  }
  return stop;
}
