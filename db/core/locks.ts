/**
 * The hub's advisory locks, by their first key. The prefix 727 distinguishes them from locks of other software on the
 * server. A second key identifies the locked row or name.
 */
export const LOCKS = {
  migrate: 727_000,
  /** Key: a test's id. Locked while new cases of the test are inserted. */
  newCases: 727_002,
  /** Key: an axis's id. Locked while changelists of the axis are numbered. */
  changelists: 727_003,
  /** Key: a slot (number of a results partition). Locked while the slot is swept, or one of its runs is revived. */
  retention: 727_004,
  queueSetup: 727_005,
  /** Key: the hash of a run's source and external id. Locked while an attempt is appended. */
  appendAttempt: 727_006,
} as const;
