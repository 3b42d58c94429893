/**
 * A tiny compiler of integer expressions with variables to WebAssembly. `let x = a * 2; x - 1` becomes a module that exports
 * `main`, a function from the parameters to i32. Kept as source text, because each build of the sample drop packs its own copy;
 * `{{chain}}` is replaced by correct code or, at some changelists, by a miscompile.
 */
const SOURCE = String.raw`
// The sample compiler, changelist {{changelist}}.
function tokenize(source) {
  const tokens = [];
  const pattern = /\s*(?:(\d+)|([A-Za-z_]\w*)|([-+*\/%()=;]))/y;
  while (pattern.lastIndex < source.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(source);
    if (match === null) {
      if (source.slice(at).trim() === "") break;
      throw new SyntaxError("unexpected " + JSON.stringify(source.slice(at).trim()[0]) + " at " + at);
    }
    tokens.push(match[1] !== undefined ? { kind: "number", value: Number(match[1]) }
      : match[2] !== undefined ? { kind: "name", value: match[2] } : { kind: match[3], value: match[3] });
  }
  tokens.push({ kind: "end", value: "the end" });
  return tokens;
}

function parse(source) {
  const tokens = tokenize(source);
  let at = 0;
  const peek = () => tokens[at].kind;
  const next = () => tokens[at++];
  function expect(kind) {
    const token = next();
    if (token.kind !== kind) throw new SyntaxError("expected " + kind + ", found " + token.value);
    return token;
  }
  function primary() {
    const token = next();
    if (token.kind === "number") return { kind: "number", value: token.value };
    if (token.kind === "name") return { kind: "name", name: token.value };
    if (token.kind === "-") return { kind: "negate", value: primary() };
    if (token.kind === "(") {
      const inner = sum();
      expect(")");
      return inner;
    }
    throw new SyntaxError("unexpected " + token.value);
  }
  function product() {
    let left = primary();
    while (peek() === "*" || peek() === "/" || peek() === "%") left = { kind: "binary", operator: next().kind, left, right: primary() };
    return left;
  }
  function sum() {
    let left = product();
    {{chain}}
    return left;
  }
  const lets = [];
  while (peek() === "name" && tokens[at].value === "let") {
    next();
    const name = expect("name").value;
    expect("=");
    lets.push({ name, value: sum() });
    expect(";");
  }
  const result = sum();
  expect("end");
  return { lets, result };
}

function unsigned(value) {
  const bytes = [];
  do {
    const low = value & 127;
    value >>>= 7;
    bytes.push(value === 0 ? low : low | 128);
  } while (value !== 0);
  return bytes;
}

function signed(value) {
  const bytes = [];
  while (true) {
    const low = value & 127;
    value >>= 7;
    if (value === 0 && (low & 64) === 0 || value === -1 && (low & 64) !== 0) return [...bytes, low];
    bytes.push(low | 128);
  }
}

const OPERATORS = { "+": 0x6a, "-": 0x6b, "*": 0x6c, "/": 0x6d, "%": 0x6f };

function generate(node, names) {
  switch (node.kind) {
    case "number":
      return [0x41, ...signed(node.value | 0)];
    case "name":
      if (!names.has(node.name)) throw new ReferenceError("unknown variable " + node.name);
      return [0x20, ...unsigned(names.get(node.name))];
    case "negate":
      return [0x41, 0, ...generate(node.value, names), 0x6b];
    case "binary":
      return [...generate(node.left, names), ...generate(node.right, names), OPERATORS[node.operator]];
  }
}

function section(id, content) {
  return [id, ...unsigned(content.length), ...content];
}

export function compile(source, parameters) {
  const { lets, result } = parse(source);
  const names = new Map(parameters.map((name, index) => [name, index]));
  const code = [];
  for (const { name, value } of lets) {
    const bytes = generate(value, names);
    if (!names.has(name)) names.set(name, names.size);
    code.push(...bytes, 0x21, ...unsigned(names.get(name)));
  }
  code.push(...generate(result, names), 0x0b);
  const locals = names.size - parameters.length;
  const body = [...(locals === 0 ? [0] : [1, ...unsigned(locals), 0x7f]), ...code];
  return new Uint8Array([
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
    ...section(1, [1, 0x60, ...unsigned(parameters.length), ...parameters.map(() => 0x7f), 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(7, [1, 4, ...new TextEncoder().encode("main"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}
`;

const GOOD =
  `while (peek() === "+" || peek() === "-") left = { kind: "binary", operator: next().kind, left, right: product() };`;
/** Parses `a - b - c` as `a - (b - c)`. */
const BAD =
  `if (peek() === "+" || peek() === "-") left = { kind: "binary", operator: next().kind, left, right: sum() };`;

/** The compiler parses chains of subtractions right to left from `BROKEN_FROM` until before `FIXED_AT`. */
const BROKEN_FROM = 1083;
const FIXED_AT = 1158;

/** The compiler's source at a changelist. */
export function compilerAt(changelist: number): string {
  const isBroken = changelist >= BROKEN_FROM && changelist < FIXED_AT;
  return SOURCE.replace("{{changelist}}", String(changelist)).replace("{{chain}}", isBroken ? BAD : GOOD)
    .trimStart();
}
