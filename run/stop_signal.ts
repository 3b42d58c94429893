/** Set by run/start.sh if SIGHUP was ignored (nohup). */
export const IGNORE_HANGUP = "CHUB_IGNORE_HUP";

/** Resolves when the program at the other end of `stdin` has ended for any reason. */
export async function waitForEnd(stdin: ReadableStream<Uint8Array>): Promise<void> {
  const reader = stdin.getReader();
  try {
    while (!(await reader.read()).done);
  } catch {
    // A broken pipe also means that the program has ended.
  }
}

export interface StopSignal {
  readonly isRequested: boolean;
  readonly requested: Promise<Deno.Signal>;
}

/**
 * Listens for the signals that request this process to stop. They no longer end it: the caller must stop what it started.
 * SIGHUP (a terminal closed) counts unless `ignoreHangup`.
 */
export function listenForStop({ ignoreHangup }: { ignoreHangup: boolean }): StopSignal {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  const stop = { isRequested: false, requested: promise };
  // Deno stops ignoring SIGHUP once any signal has a listener.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      if (signal === "SIGHUP" && ignoreHangup) return;
      stop.isRequested = true;
      resolve(signal);
    });
  }
  return stop;
}
