import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withTimeout } from "../../routers/deadline.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a late promise is rejected, others are not delayed, and the timer ends with the last", async () => {
  const late = () => new Error("late");
  const slow = withTimeout(new Promise(() => {}), 30_000, late);
  const caught = expect(slow).rejects.toThrow("late");
  const { promise, resolve } = Promise.withResolvers<string>();
  const quick = withTimeout(promise, 30_000, late);
  const wrong = withTimeout(Promise.reject(new Error("wrong")), 30_000, late);
  await expect(wrong).rejects.toThrow("wrong");
  resolve("quick");
  expect(await quick).toBe("quick");
  await vi.advanceTimersByTimeAsync(29_000);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1_500);
  await caught;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(vi.getTimerCount()).toBe(0);
});
