import { onTestFinished, vi } from "vitest";

/** Freezes `Date.now` for the rest of the test, so that limits per second and minute do not expire on a slow machine. */
export function stopClock(): void {
  const stopped = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  onTestFinished(() => stopped.mockRestore());
}
