import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { Exchange, Startup } from "../../../db/core/protocol.ts";

function message(letter: string, content = ""): Buffer {
  const bytes = Buffer.alloc(5 + content.length);
  bytes.write(letter);
  bytes.writeUInt32BE(4 + content.length, 1);
  bytes.write(content, 5);
  return bytes;
}

function started(): Exchange {
  const exchange = new Exchange();
  const parameters = "user\0chub\0application_name\0hub 1\0\0";
  const startup = Buffer.alloc(8 + parameters.length);
  startup.writeUInt32BE(startup.length);
  startup.writeUInt32BE(196_608, 4);
  startup.write(parameters, 8);
  expect(exchange.state).toBe("idle");
  exchange.sent(startup);
  expect([exchange.name, exchange.state]).toEqual(["hub 1", "answering"]);
  exchange.received(Buffer.concat([message("R", "\0\0\0\0"), message("Z", "I")]));
  expect(exchange.state).toBe("idle");
  return exchange;
}

test("the server owes an answer for each statement, however many are sent at once", () => {
  const exchange = started();
  exchange.sent(Buffer.concat([message("P", "select"), message("B"), message("E"), message("S")]));
  exchange.sent(message("Q", "begin\0"));
  exchange.received(Buffer.concat([message("1"), message("C", "SELECT 1\0"), message("Z", "I")]));
  expect(exchange.state).toBe("answering");
  exchange.received(message("Z", "T"));
  expect([exchange.state, exchange.isInTransaction]).toEqual(["idle", true]);
});

test("the server owes an answer to a flush, but not to rows of a copy before their end", () => {
  const exchange = started();
  exchange.sent(Buffer.concat([message("P", "copy"), message("H")]));
  expect(exchange.state).toBe("answering");
  exchange.received(message("1"));
  expect(exchange.state).toBe("idle");
  exchange.sent(message("Q", "copy\0"));
  exchange.received(message("G", "\0\0\0"));
  exchange.sent(message("d", "1\n"));
  expect(exchange.state).toBe("copying");
  exchange.sent(message("c"));
  expect(exchange.state).toBe("answering");
  exchange.received(Buffer.concat([message("E", "failed"), message("Z", "E")]));
  expect(exchange.state).toBe("idle");
});

test("messages are found however their bytes are split", () => {
  // Content that looks like messages, and of each length about that of a header.
  const all = Buffer.concat([
    ...Array.from({ length: 9 }, (_, length) => message("D", "ZSQGZ\0\0\0\x05".slice(0, length))),
    message("Z", "T"),
    message("S"),
  ]);
  for (let size = 1; size < all.length; size++) {
    const exchange = started();
    exchange.sent(message("S"));
    for (let at = 0; at < all.length; at += size) exchange.received(all.subarray(at, at + size));
    expect([size, exchange.state, exchange.isInTransaction]).toEqual([size, "idle", true]);
    for (let at = 0; at < all.length; at += size) exchange.sent(all.subarray(at, at + size));
    expect([size, exchange.state]).toEqual([size, "answering"]);
    exchange.received(message("Z", "I"));
    expect([size, exchange.state]).toEqual([size, "idle"]);
  }
});

test("the answer to a startup message is read however its bytes are split", () => {
  const begun = [message("R", "\0\0\0\0"), message("S", "TimeZone\0UTC\0")];
  const refused = Buffer.concat([
    ...begun,
    message("E", "SFATAL\0VFATAL\0C55000\0Mno connections\0\0"),
  ]);
  const ready = Buffer.concat([...begun, message("K", "12345678"), message("Z", "I")]);
  for (let cut = 0; cut < refused.length; cut++) {
    for (const [all, isReady] of [[refused, false], [ready, true]] as const) {
      const startup = new Startup();
      startup.received(all.subarray(0, cut));
      startup.received(all.subarray(cut));
      expect(startup).toMatchObject({
        isReady,
        refusal: isReady ? undefined : { code: "55000", message: "no connections" },
      });
    }
  }
});
