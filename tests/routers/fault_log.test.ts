import { expect, test } from "vitest";
import { createFaultLog } from "../../routers/fault_log.ts";

function world() {
  let ms = 0;
  const lines: [string, unknown][] = [];
  const faults = createFaultLog({
    log: (_level, message, fields) => lines.push([message, fields]),
    now: () => new Date(ms),
  });
  return { faults, lines, pass: (seconds: number) => void (ms += seconds * 1000) };
}

test("a fault is logged once, then once a minute with the number of its repeats", () => {
  const { faults, lines, pass } = world();
  for (let second = 0; second < 150; second++) {
    faults.add("away", { requestId: second });
    pass(1);
  }
  expect(lines).toEqual([
    ["away", { requestId: 0 }],
    ["away", { requestId: 60, count: 60 }],
    ["away", { requestId: 120, count: 60 }],
  ]);
});

test("the last repeats are logged by a flush once they are due, and a fault that returns later is new", () => {
  const { faults, lines, pass } = world();
  for (const requestId of [1, 2, 3]) faults.add("away", { requestId });
  pass(59);
  faults.flush();
  expect(lines).toHaveLength(1);
  pass(1);
  faults.flush();
  faults.flush();
  expect(lines.slice(1)).toEqual([["away", { requestId: 3, count: 2 }]]);
  pass(60);
  faults.flush();
  faults.add("away");
  expect(lines.slice(2)).toEqual([["away", {}]]);
});

test("kinds are counted separately", () => {
  const { faults, lines } = world();
  for (const kind of ["away", "full", "away"]) faults.add(kind);
  expect(lines.map(([kind]) => kind)).toEqual(["away", "full"]);
});

test("messages that differ only in numbers are one kind, logged with the latest message", () => {
  const { faults, lines, pass } = world();
  for (const bytes of [64235, 34548, 7]) faults.add(`the body needs ${bytes} bytes`);
  pass(60);
  faults.flush();
  expect(lines).toEqual([
    ["the body needs 64235 bytes", {}],
    ["the body needs 7 bytes", { count: 2 }],
  ]);
});
