/** Escapes a value of an RDN (RFC 4514, 2.4), so that it stays one value. */
export function escapeDn(value: string): string {
  // deno-lint-ignore no-control-regex -- NUL must be escaped
  return value.replace(/[\\"+,;<>=#\u0000]|^ | $/g, (char) => `\\${hex(char)}`);
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, "0");
}

/** Replaces each `{name}` of a template by its value, which must be escaped already. */
export function fill(template: string, values: Record<string, string>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
