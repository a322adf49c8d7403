// Saved states: the derived state of a log (common/derived_state.h) in files beside its segments.
// docs/formats.md, "Saved state".
#ifndef VARVE_STORAGE_STATE_FILES_H_
#define VARVE_STORAGE_STATE_FILES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/derived_state.h"
#include "storage/replica_files.h"
#include "storage/segment.h"
#include "storage/segment_writer.h"

namespace varve::storage {

// Blocks. The state that `path` holds, verified in full: a whole file of this directory, of `group`
// and of the entry that its name says. DATA_LOSS, FOREIGN_DIRECTORY, NEWER_FORMAT, NotFound, or
// what the disk says. `summary` may be null.
absl::StatusOr<std::string> ReadStateFile(FileSystem& files, const DirectoryIdentity& identity,
                                          const std::string& path, GroupId group,
                                          const SavedState& name, StateSummary* summary);

// On the sync executor. Verifies that `state` is one of `group` at `name` and writes it, all or
// nothing; durable when OK. An existing file of the name is replaced. NO_SPACE leaves everything as
// it was; any other error of the disk fails the directory.
absl::Status WriteStateFile(const SegmentContext& context, SegmentWriter& writer,
                            const std::string& path, GroupId group, const SavedState& name,
                            std::string_view state);

// Its mutex is held, as in the following. The saves of entries that the log holds, or begins
// behind; ascending.
std::vector<SavedState> UsableStates(const ReplicaFiles& files);
// Adds it in its place, if it is new.
void AddState(const SavedState& name, std::vector<SavedState>* states);
// Takes those out that nobody needs any more: below the log start; and of those that are not of a
// segment start all but the newest two. The newest stays.
std::vector<SavedState> TakeSurplusStates(ReplicaFiles* files);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_STATE_FILES_H_
