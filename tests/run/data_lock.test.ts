import { afterAll, beforeAll, expect, test } from "vitest";
import { openDataLock } from "../../run/data_lock.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir();
});
afterAll(() => Deno.remove(folder, { recursive: true }));

test("the last one out is told from the others, and another may come after", async () => {
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => openDataLock(folder, () => {})));
  await first!.join();
  await second!.join();
  expect(await first!.leave()).toBe(false);
  expect(await second!.leave()).toBe(true);
  await third!.join();
  expect(await third!.leave()).toBe(true);
});

test("one process at a time prepares or stops; who waits is told so", async () => {
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
