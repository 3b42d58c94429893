import { SETTINGS } from "./config.ts";

const WIDTH = 100;

/** Help on the settings: each name, its meaning and its default, wrapped for a terminal. */
export function settingsHelp(): string {
  const entries = Object.entries(SETTINGS).map(([name, { description, default: value }]) =>
    `  ${name}\n${wrapped(`${description} (default: ${value})`, "      ")}`
  );
  return `Settings, all from the environment (docs/reference/settings.md):\n\n${entries.join("\n")}`;
}

function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    if (line !== indent && line.length + word.length > WIDTH) {
      lines.push(line.trimEnd());
      line = indent;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()].join("\n");
}
