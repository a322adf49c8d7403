// Makes data directories byte by byte, for inspection to look at.
#ifndef VARVE_TESTS_STORAGE_INSPECT_DIRECTORY_MAKER_H_
#define VARVE_TESTS_STORAGE_INSPECT_DIRECTORY_MAKER_H_

#include <string>
#include <vector>

#include "common/entry.h"
#include "storage/journal.h"

namespace varve::storage {

inline constexpr GroupId kMadeGroup{0x12345};

// A segment of one segment start and then data entries of one record each.
struct MadeSegment {
  std::string log;    // the file's bytes
  std::string index;  // one row per entry but the first
  SegmentRef ref;     // end position 0
  uint64_t end_position = 0;
  std::vector<uint64_t> positions;  // of every entry
  std::vector<Entry> entries;
  LogEnd end;
};
MadeSegment MakeSegment(const DirectoryIdentity& identity, FileNumber number, const LogEnd& before,
                        int data_entries);

// A journal file: header, checkpoint, then commits; zeros to 1 MiB.
struct MadeJournal {
  std::string bytes;
  std::vector<uint64_t> commit_positions;
};
// Each of `frames` becomes one commit, numbered on from the checkpoint's last one.
MadeJournal MakeJournal(const DirectoryIdentity& identity, const JournalFileRef& ref,
                        Checkpoint checkpoint, const std::vector<JournalFrame>& frames);

DirectoryIdentity MadeIdentity();
// The file "identity".
std::string MakeIdentityFile(const DirectoryIdentity& identity);
// The step that appends everything of `segment` from its entry `first` on.
AppendStep AppendOf(const MadeSegment& segment, size_t first);
// Everything synced, the last segment active.
ReplicaRecord MakeRecord(const std::vector<MadeSegment>& segments);

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_INSPECT_DIRECTORY_MAKER_H_
