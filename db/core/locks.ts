/**
 * The advisory locks of the hub, each by its first key; 727 marks them as the hub's among those of others on the server.
 * A second key says which row or name is locked.
 */
export const LOCKS = {
  migrate: 727_000,
  /** By a test's id: new cases of the test are inserted. */
  newCases: 727_002,
  /** By an axis's id: changelists of the axis are numbered. */
  changelists: 727_003,
  /** By a slot of the results' partitions: it is swept, or a run of it is revived. */
  retention: 727_004,
  queueSetup: 727_005,
  /** By the hash of a run's source and external id: an attempt is appended. */
  appendAttempt: 727_006,
} as const;
