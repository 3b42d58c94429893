import { afterAll, beforeAll, expect, test } from "vitest";
import { openDataLock, shareDataLock } from "../../run/data_lock.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir();
});
afterAll(() => Deno.remove(folder, { recursive: true }));

test("the last process to leave knows that it is the last, and another may join afterwards", async () => {
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => openDataLock(folder, () => {})));
  await first!.join();
  await second!.join();
  expect(await first!.leave()).toBe(false);
  expect(await second!.leave()).toBe(true);
  await third!.join();
  expect(await third!.leave()).toBe(true);
});

test("one process at a time prepares or stops, and a waiting process is notified", async () => {
  const waited: string[] = [];
  const order: string[] = [];
  const first = await openDataLock(folder, () => waited.push("first"));
  const second = await openDataLock(folder, () => waited.push("second"));
  const going = Promise.withResolvers<void>();
  const one = first.alone(async () => {
    order.push("first begins");
    await going.promise;
    order.push("first ends");
  });
  const two = second.alone(() => Promise.resolve(order.push("second")));
  going.resolve();
  await Promise.all([one, two]);
  expect([order, waited]).toEqual([["first begins", "first ends", "second"], ["second"]]);
  await expect(first.alone(() => Promise.reject(new Error("x")))).rejects.toThrow("x");
  expect(await second.alone(() => Promise.resolve("free"))).toBe("free");
});

test("a hub that opens the lock read-only counts as a user of the folder", async () => {
  const starter = await openDataLock(folder, () => {});
  await starter.join();
  const hub = await shareDataLock(folder);
  // Like kill -9 of the starting program, followed by the next start.
  expect(await starter.leave()).toBe(false);
  const next = await openDataLock(folder, () => {});
  await next.join();
  expect(await next.leave()).toBe(false);
  hub.close();
  expect(await next.leave()).toBe(true);
});

test("within a process, preparations do not overlap either", async () => {
  const lock = await openDataLock(folder, () => {});
  const steps: string[] = [];
  const begun = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const first = lock.alone(async () => {
    steps.push("first begins");
    begun.resolve();
    await finish.promise;
    steps.push("first ends");
  });
  const second = lock.alone(() => Promise.resolve(steps.push("second")));
  await begun.promise;
  const other = await openDataLock(folder, () => finish.resolve());
  await other.alone(() => Promise.resolve(steps.push("other")));
  await Promise.all([first, second]);
  expect(steps.slice(0, 2)).toEqual(["first begins", "first ends"]);
});
