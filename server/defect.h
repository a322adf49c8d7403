// Defects of the broker that a test plants to see that it would find them: where partitions meet
// the storage, and where their members change. Only the library varve_server_defects, built with
// VARVE_SERVER_DEFECTS for tests, knows how to be wrong; elsewhere Planted is false at compile
// time.
#ifndef VARVE_SERVER_DEFECT_H_
#define VARVE_SERVER_DEFECT_H_

#include <cstdint>

namespace varve::server {

enum class Defect : uint8_t {
  kNone,
  // What clients are told.
  kAcknowledgedWhenAccepted,  // by the leader alone
  kUnknownTakenForLost,       // a batch that may be in the log is refused
  kReadsUncommitted,          // readers get what the leader's log ends with
  kReadsBeforeConfirmed,      // a new leader answers for offsets that it has not committed
  // Where raft meets the storage.
  kWritesOvertake,          // one that needs no room goes before those that wait for it
  kRoomUnnoticed,           // by the writes that wait for it
  kRoomNotReturned,         // of batches that were refused
  kTrimmedBeforeCommitted,  // the log moves its start when the trim is appended
  kFoldsUndurable,          // metadata acts on what its own log may lose
  // Who belongs to a group.
  kRemovedDataKept,     // and reported as removed
  kAnyDirectoryBegins,  // a wiped broker begins its old replicas anew, and votes
  kWipedKeepsEpoch,     // nobody gives its replicas another epoch
  kLeavingForgotten,    // nobody removes what a broker gave up
  kRemovalUnchecked,    // an older removal takes a newer replica along
  kJointLeftOut,        // two voters change in one step
};

#ifdef VARVE_SERVER_DEFECTS
// One at a time; single-threaded tests alone.
inline Defect planted_defect = Defect::kNone;
inline bool Planted(Defect defect) { return planted_defect == defect; }
#else
constexpr bool Planted(Defect /*defect*/) { return false; }
#endif

}  // namespace varve::server

#endif  // VARVE_SERVER_DEFECT_H_
