import { expect, test } from "vitest";
import { type Part, supervise } from "../../run/supervise.ts";

/** A part with scripted checks and starts, and a wait that the test ends. */
function world({ starts = [] as (Error | undefined)[] } = {}) {
  const state = { isUp: true, started: 0, lines: [] as string[], waited: [] as number[] };
  let proceed = Promise.withResolvers<void>();
  let waiting = Promise.withResolvers<void>();
  const part: Part = {
    name: "The part",
    isUp: () => Promise.resolve(state.isUp),
    start: () => {
      const fault = starts[state.started++];
      if (fault !== undefined) return Promise.reject(fault);
      state.isUp = true;
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  };
  const end = supervise([part], {
    wait(ms, signal) {
      state.waited.push(ms);
      const turn = proceed.promise;
      signal.addEventListener("abort", () => proceed.resolve());
      waiting.resolve();
      return turn;
    },
    print: (line) => state.lines.push(line),
  });
  const step = async () => {
    await waiting.promise;
    waiting = Promise.withResolvers();
    const turn = proceed;
    proceed = Promise.withResolvers();
    turn.resolve();
    await waiting.promise;
  };
  return { state, step, end };
}

test("a running part is left alone; an ended part is restarted, with messages before and after", async () => {
  const { state, step, end } = world();
  await step();
  expect([state.started, state.lines]).toEqual([0, []]);
  state.isUp = false;
  await step();
  expect(state.started).toBe(1);
  expect(state.lines).toEqual(["The part has ended; restarting it.", "The part is running again."]);
  await end();
});

test("a failed start is retried with pauses that double up to a minute", async () => {
  const { state, step, end } = world({ starts: Array.from({ length: 8 }, () => new Error("no room")) });
  state.isUp = false;
  for (let at = 0; at < 10; at++) await step();
  expect(state.waited.slice(0, 10)).toEqual([
    1000,
    2000,
    4000,
    8000,
    16_000,
    32_000,
    60_000,
    60_000,
    60_000,
    1000,
  ]);
  expect(state.lines[1]).toBe("The part could not be restarted: no room");
  await end();
  expect(state.started).toBe(9);
});
