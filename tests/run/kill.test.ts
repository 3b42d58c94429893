import { afterEach, expect, test, vi } from "vitest";
import { signalProcess } from "../../run/kill.ts";
import { openProcessGroups } from "../../run/process_group.ts";

/** Ids that must never reach the kernel, because they would end other processes, or all. */
const ODD = [Infinity, -Infinity, NaN, -1, 0, 1, -5, 1.5, 2 ** 31, 2 ** 32 - 1, undefined, null, "5"];

afterEach(() => vi.restoreAllMocks());

test("a number that is not the id of one process is rejected before it reaches the kernel", () => {
  const kill = vi.spyOn(Deno, "kill").mockImplementation(() => {});
  for (const pid of ODD) expect(() => signalProcess(pid as number, "SIGKILL")).toThrow(RangeError);
  expect(kill).not.toHaveBeenCalled();
  signalProcess(12345, "SIGTERM");
  expect(kill.mock.calls).toEqual([[12345, "SIGTERM"]]);
});

test("a process that has ended is not an error", () => {
  vi.spyOn(Deno, "kill").mockImplementation(() => {
    throw new Deno.errors.NotFound();
  });
  signalProcess(12345, "SIGTERM");
});

test("a number that is not the id of a group is rejected too", () => {
  const kill = vi.fn(() => 0);
  vi.spyOn(Deno, "dlopen").mockReturnValue({ symbols: { kill }, close: () => {} } as never);
  const groups = openProcessGroups();
  for (const group of ODD) {
    expect(() => groups.end(group as number, "SIGKILL")).toThrow(RangeError);
    expect(() => groups.isAlive(group as number)).toThrow(RangeError);
  }
  expect(kill).not.toHaveBeenCalled();
  groups.end(12345, "SIGKILL");
  expect(kill.mock.calls).toEqual([[-12345, 9]]);
});
