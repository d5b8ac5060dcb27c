/* SPDX-License-Identifier: Apache-2.0 */
/* fault_points.h — every named fault point and reach mark, sorted.
 *
 * FAULT_POINTS: places where a test switches a rule off (a planted mutant) or makes a step fail.
 * REACH_POINTS: marks that the crash laboratory demands to be hit.
 * Both are compiled out unless LYNSE_FAULTS is defined.
 */
#ifndef BASE_FAULT_POINTS_H
#define BASE_FAULT_POINTS_H

#define FAULT_POINTS(_)                                                                            \
    _(ACTOR_DOUBLE_REPLY, "a reply is delivered twice")                                            \
    _(ACTOR_DROP_WITHOUT_ANSWER, "a dropped message is not answered")                              \
    _(ACTOR_LOST_WAKEUP, "the push that finds an actor idle does not schedule it")                 \
    _(CATALOG_SKIP_DIRSYNC, "a new catalog's name is not synced")                                  \
    _(CATALOG_SKIP_SYNC, "a new catalog's bytes are not synced")                                   \
    _(CLOSE_WITHOUT_VOUCHER, "closing writes no manifest where no mark can vouch")                 \
    _(CREATE_NO_PARENT_SYNC, "a new collection's directory is not synced in the root")             \
    _(DROP_NO_ROOT_SYNC, "a drop is forgotten before its directory is durably gone")               \
    _(DROP_WITHOUT_CATALOG, "a dropped directory is removed before the catalog says so")           \
    _(EARLY_ACK, "writes are answered before they are logged")                                     \
    _(EARLY_UNLINK, "log files are retired before the manifest that says so")                      \
    _(EARLY_VIEW, "writes are shown before they are durable")                                      \
    _(GC_IGNORE_PINS, "files that a reader pins are removed")                                      \
    _(MANIFEST_FALLBACK, "an older manifest rules when the newest is damaged")                     \
    _(MANIFEST_ONE_BODY, "only the first copy of a twin file is read")                             \
    _(MANIFEST_SKIP_DIRSYNC, "a new manifest's name is not synced")                                \
    _(MANIFEST_SKIP_SYNC, "a new manifest's bytes are not synced")                                 \
    _(MAP_STARTS_AT_ZERO, "a segment without a delete map claims none of its deletions")           \
    _(NONE, "none; for tests of the switches themselves")                                          \
    _(NONE_CLOSE_WITHOUT_FLUSH, "closing in level none leaves what is in memory")                  \
    _(NONE_KEEP_LOG, "a flush in level none keeps log files that lack its groups")                 \
    _(NONE_LATE_DELETES, "a flush in level none maps deletions later than its rows")               \
    _(NONE_LEAVE_WITHOUT_FLUSH, "leaving level none logs on without a flush")                      \
    _(NONE_MAPS_LAG, "a flush in level none leaves older delete maps as they are")                 \
    _(NO_OVERLAY, "a group does not see rows of earlier groups of its batch")                      \
    _(RECOVERY_BOUND_RECORDS_ONLY, "a reader asks only log records what is durable")               \
    _(RECOVERY_CLEAN_EARLY, "recovery removes files before it syncs")                              \
    _(RECOVERY_NO_R3A, "a log file's end is not proved by its successor")                          \
    _(RECOVERY_NO_READER_BOUND, "a reader shows what is not durable yet")                          \
    _(RECOVERY_SKIP_R3B, "recovery does not sync what it read")                                    \
    _(REPLAY_SEALED_ROWS, "replay adds rows that are sealed already")                              \
    _(RETIRE_BEFORE_MAPS, "delete maps count as written without being written")                    \
    _(REQUESTS_ABOVE_F, "a manifest keeps requests of groups that it has not flushed")             \
    _(REQUEST_BEFORE_COMMIT, "the request of a group that failed to be logged is remembered")      \
    _(ROOT_SKIP_R3B, "opening a root acts on names that it did not sync")                          \
    _(SEAL_FORGETS_REQUESTS, "a manifest keeps no requests")                                       \
    _(SEAL_FORGETS_LATE_DELETES, "deletions during a build are not brought onto its result")       \
    _(SEAL_NO_WAL_SYNC, "a manifest names what the log does not hold durably")                     \
    _(SEAL_WAL_SYNC_TO_F, "a manifest waits for the log up to F alone")                            \
    _(SEGMENT_DROPS_DELETED, "the newest version of a deleted id is not sealed")                   \
    _(SEGMENT_SKIP_DIRSYNC, "the names of a new segment's files are not synced")                   \
    _(SEGMENT_SKIP_SYNC, "a segment part gets its name without a sync")                            \
    _(WAL_CONTINUE_FILE, "the log goes on in a recovered file")                                    \
    _(WAL_KEEP_FAILED, "a failed write is not cut back")                                           \
    _(WAL_MARK_BESIDE, "a mark stands beside what it vouches for")                                 \
    _(WAL_NO_CHAIN, "the CRC of the previous record is not compared")                              \
    _(WAL_NO_GROUP_END, "a group counts before its last record")                                   \
    _(WAL_NO_SALT, "a recycled log file keeps its salt")                                           \
    _(WAL_NO_TMP_NAME, "a log file is made under its final name")                                  \
    _(WAL_NO_VOUCH, "a torn tail is never taken for damage")                                       \
    _(WAL_ONE_HEADER, "only the first header of a log file is read")                               \
    _(WAL_RETRY_SYNC, "a failed sync of the log is tried again")                                   \
    _(WAL_SKIP_DIRSYNC, "a new log file's name is not synced")                                     \
    _(WAL_SKIP_HEADER_SYNC, "a new log file's header is not synced")                               \
    _(WAL_SKIP_R4A, "a full log file is not synced before its successor")                          \
    _(WAL_SKIP_SYNC, "a commit does not sync the log")

#define REACH_POINTS(_)                                                                            \
    _(BATCH_CLOSED_FULL, "a batch was closed because its tail was full")                           \
    _(CLOSE_VOUCHED_BY_MANIFEST, "closing wrote a manifest to vouch for the log")                  \
    _(COLLECTION_POISONED, "a disk failed and a collection became read-only")                      \
    _(DROP_FINISHED, "the directory of a dropped collection was removed")                          \
    _(MANIFEST_SWAPPED, "a twin file was replaced")                                                \
    _(NONE, "none; for tests of the switches themselves")                                          \
    _(RECOVERY_DAMAGED_COPY, "one of two copies was bad")                                          \
    _(RECOVERY_R3A_PROVED, "a successor declared the end of a log file dead")                      \
    _(REPLAY_FROZE_TAIL, "replay filled a tail")                                                   \
    _(REQUEST_REPEATED, "a retry was answered as the first time")                                  \
    _(RESERVE_MADE, "room was set aside for a full disk")                                          \
    _(RESERVE_RELEASED, "a full disk got the room that was set aside")                             \
    _(RESTORE_REPLAYED, "a restore was replayed")                                                  \
    _(MERGE_BEGUN, "a merge of sealed segments was begun")                                         \
    _(MERGE_INDEXED, "a merged segment was published with its index")                              \
    _(MERGE_PUBLISHED, "a merged segment took the place of its inputs")                            \
    _(QUIET_SEAL_BEGUN, "the tail was sealed because nobody wrote")                                \
    _(ROW_KEPT_DEAD, "the newest version of a deleted id was sealed")                              \
    _(ROW_LEFT_OUT, "a superseded row was not sealed")                                             \
    _(SEAL_LATE_CHANGE, "a deletion or restore came while its row was being sealed")               \
    _(SEAL_MAP_WRITTEN, "a delete map was written")                                                \
    _(SEAL_SMALL_REWRITTEN, "a small segment was sealed again with the tail")                      \
    _(SEGMENT_BUILT, "the files of a sealed segment are complete")                                 \
    _(STILLBORN_REMOVED, "the directory of an interrupted creation was removed")                   \
    _(WAL_CUT_BACK, "a failed write was cut back")                                                 \
    _(WAL_MADE_SMALL, "a full disk had no room for a log file of the usual size")                  \
    _(WAL_MADE_WITH_RECORDS, "a log file got its name with groups in it")                          \
    _(WAL_MARK_WRITTEN, "a durable mark was written")                                              \
    _(WAL_ROTATED, "a log file followed another one")                                              \
    _(WAL_SPARE_REUSED, "a retired log file was reused")                                           \
    _(WAL_TORN_TAIL, "the newest log file ended in garbage")

#endif
