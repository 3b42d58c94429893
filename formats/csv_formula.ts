/**
 * Text that a spreadsheet may run as a formula, also after characters that it trims or hides (spaces, byte order marks, control
 * characters, fillers), and in full-width characters, which East Asian versions accept.
 */
const FORMULA =
  /^[\s\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]*[=+\-@\uFE62\uFE63\uFE66\uFE6B\uFF0B\uFF0D\uFF1D\uFF20\u2212]|^[\t\r\n]/u;

/** Whether a cell needs a leading apostrophe to stay text in a spreadsheet. */
export function isFormula(text: string): boolean {
  return FORMULA.test(text);
}
