/** Exit code of the hub if its address is in use; the errno of EADDRINUSE on Linux. */
export const ADDRESS_IN_USE = 98;
/** Argument that makes the hub drain when its stdin ends. */
export const END_WITH_STDIN = "--end-with-stdin";
/** Exit statuses of vrlsubmit besides 0 (EX_TEMPFAIL and EX_PROTOCOL of sysexits.h). Any other status is a refusal. */
export const VRLSUBMIT_EXIT = { unsent: 75, unknown: 76 } as const;
