import { onTestFinished, vi } from "vitest";

/** Stops `Date.now` for the rest of the test: limits per second and per minute then do not expire while a slow machine works. */
export function stopClock(): void {
  const stopped = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  onTestFinished(() => stopped.mockRestore());
}
