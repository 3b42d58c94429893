/**
 * What a spreadsheet may take for a formula: also after what it trims or does not show (spaces of any kind, byte order marks,
 * control characters, fillers), and in other widths, which East Asian versions take alike.
 */
const FORMULA =
  /^[\s\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]*[=+\-@\uFE62\uFE63\uFE66\uFE6B\uFF0B\uFF0D\uFF1D\uFF20\u2212]|^[\t\r\n]/u;

/** Whether a cell needs an apostrophe before it, to be text to a spreadsheet. */
export function isFormula(text: string): boolean {
  return FORMULA.test(text);
}
