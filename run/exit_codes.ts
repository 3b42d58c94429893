/** Exit code of the hub if another process has its address; the number of EADDRINUSE. */
export const ADDRESS_IN_USE = 98;
/** Argument of a hub that drains once its stdin ends. */
export const END_WITH_STDIN = "--end-with-stdin";
/** Exit statuses of vrlsubmit besides 0; any other is a refusal. Of sysexits.h: EX_TEMPFAIL and EX_PROTOCOL. */
export const VRLSUBMIT_EXIT = { unsent: 75, unknown: 76 } as const;
