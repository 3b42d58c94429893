/** Exit code of the hub if another process has its address; the number of EADDRINUSE. */
export const ADDRESS_IN_USE = 98;
