/** A program of the suite, with its parameters and expected result. */
export interface Program {
  name: string;
  source: string;
  parameters?: Record<string, number>;
  expected: number | "trap" | "refused";
}

export const suite: Program[] = [
  { name: "literal.zero", source: "0", expected: 0 },
  { name: "literal.small", source: "42", expected: 42 },
  { name: "literal.byte-edge", source: "127", expected: 127 },
  { name: "literal.two-bytes", source: "128", expected: 128 },
  { name: "literal.large", source: "1000000007", expected: 1000000007 },
  { name: "literal.max", source: "2147483647", expected: 2147483647 },
  { name: "literal.wraps", source: "2147483647 + 1", expected: -2147483648 },
  { name: "add.two", source: "1 + 2", expected: 3 },
  { name: "add.chain", source: "1 + 2 + 3 + 4", expected: 10 },
  { name: "add.spaces", source: "  1+   2 ", expected: 3 },
  { name: "subtract.two", source: "9 - 4", expected: 5 },
  { name: "subtract.below-zero", source: "4 - 9", expected: -5 },
  { name: "subtract.chain", source: "10 - 3 - 2", expected: 5 },
  { name: "subtract.long-chain", source: "100 - 1 - 2 - 3 - 4", expected: 90 },
  { name: "subtract.then-add", source: "10 - 3 + 2", expected: 9 },
  { name: "subtract.grouped", source: "10 - (3 - 2)", expected: 9 },
  { name: "multiply.two", source: "6 * 7", expected: 42 },
  { name: "multiply.chain", source: "2 * 3 * 4", expected: 24 },
  { name: "multiply.wraps", source: "65536 * 65536", expected: 0 },
  { name: "divide.exact", source: "42 / 7", expected: 6 },
  { name: "divide.truncates", source: "7 / 2", expected: 3 },
  { name: "divide.truncates-to-zero", source: "-7 / 2", expected: -3 },
  { name: "divide.by-zero", source: "1 / 0", expected: "trap" },
  { name: "remainder.plain", source: "17 % 5", expected: 2 },
  { name: "remainder.sign", source: "-17 % 5", expected: -2 },
  { name: "remainder.by-zero", source: "1 % 0", expected: "trap" },
  { name: "precedence.product-first", source: "2 + 3 * 4", expected: 14 },
  { name: "precedence.product-first-left", source: "2 * 3 + 4", expected: 10 },
  { name: "precedence.parentheses", source: "(2 + 3) * 4", expected: 20 },
  { name: "precedence.nested", source: "((1 + 2) * (3 + 4)) % 10", expected: 1 },
  { name: "negate.literal", source: "-5", expected: -5 },
  { name: "negate.twice", source: "--5", expected: 5 },
  { name: "negate.group", source: "-(2 + 3)", expected: -5 },
  { name: "variable.parameter", source: "x", parameters: { x: 11 }, expected: 11 },
  { name: "variable.two-parameters", source: "x * y", parameters: { x: 6, y: 7 }, expected: 42 },
  { name: "variable.let", source: "let a = 4; a * a", expected: 16 },
  { name: "variable.lets", source: "let a = 4; let b = a + 1; a * b", expected: 20 },
  { name: "variable.again", source: "let a = 1; let a = a + 1; a", expected: 2 },
  { name: "variable.mixed", source: "let d = x - y; d * d", parameters: { x: 3, y: 8 }, expected: 25 },
  { name: "variable.unknown", source: "nothing", expected: "refused" },
  {
    name: "program.polynomial",
    source: "let x = n; 3 * x * x + 2 * x + 1",
    parameters: { n: 5 },
    expected: 86,
  },
  {
    name: "program.balance",
    source: "start - fee - tax",
    parameters: { start: 100, fee: 15, tax: 5 },
    expected: 80,
  },
  { name: "error.open-parenthesis", source: "(1 + 2", expected: "refused" },
  { name: "error.character", source: "1 $ 2", expected: "refused" },
];
