// Defects that a test plants to see that it would find them. Only the library
// varve_storage_defects, built with VARVE_STORAGE_DEFECTS for tests, knows how to be wrong;
// elsewhere Planted is false at compile time.
#ifndef VARVE_STORAGE_DEFECT_H_
#define VARVE_STORAGE_DEFECT_H_

#include <cstdint>

namespace varve::storage {

enum class Defect : uint8_t {
  kNone,
  kAcknowledgedBeforeSync,     // the journal acknowledges without a sync
  kDurableThroughAhead,        // a commit vouches for itself
  kRecycledBeforeSegmentSync,  // a pass reports what it did not sync
  kSegmentDirectoryNotSynced,  // a pass leaves the directory out
  kJournalDirectoryNotSynced,  // a new journal file's name may go
  kEarlierFilesNotListed,      // a checkpoint is trusted without the files before it
  kNameSyncErrorIgnored,       // of a replica's directory
  kEntryChecksumIgnored,       // of entries read from segments
  kFailedSyncRetried,          // a second sync that succeeds counts
  kWriteErrorIgnored,          // of segments
  kSealLeftOut,                // the last acknowledged commit stays unprovable
  kReserveIgnored,             // segments of a full disk wait with room held back
  kDamageTakenForTorn,         // damage at or below durable_through is cut
  kSyncPointNotLowered,        // by a truncation below it
  kLaterWritesCounted,         // a pass vouches for bytes written after it began
  kFileNumberReused,           // of a segment that a truncation removed
  kGenerationLeftOut,          // of the journal's checksums
  kFramesReordered,            // those of a commit
  kFrameChecksumIgnored,       // of the journal
  kCheckpointChecksumIgnored,  // of a checkpoint's body
  kTrailerIgnored,             // of a commit
  kStaleIndexKept,             // a truncation leaves the index file
  kPinsReleasedEarly,          // a pass lets go of frames that it does not cover
};

#ifdef VARVE_STORAGE_DEFECTS
// One at a time; single-threaded tests alone.
inline Defect planted_defect = Defect::kNone;
inline bool Planted(Defect defect) { return planted_defect == defect; }
#else
constexpr bool Planted(Defect /*defect*/) { return false; }
#endif

}  // namespace varve::storage

#endif  // VARVE_STORAGE_DEFECT_H_
