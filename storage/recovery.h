// Recovery: from what a crash left to a directory that may acknowledge again. docs/formats.md,
// "What a crash leaves, and what recovery does".
#ifndef VARVE_STORAGE_RECOVERY_H_
#define VARVE_STORAGE_RECOVERY_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/data_directory.h"
#include "storage/recovery_table.h"
#include "storage/replica_files.h"

namespace varve::storage {

struct DirectoryPaths {
  explicit DirectoryPaths(const std::string& root)
      : root(root),
        lock(JoinPath(root, "LOCK")),
        identity(JoinPath(root, "identity")),
        journal(JoinPath(root, "journal")),
        groups(JoinPath(root, "groups")),
        trash(JoinPath(root, "trash")),
        reserve(JoinPath(root, "reserve")) {}
  std::string root, lock, identity, journal, groups, trash, reserve;
};

struct Recovered {
  Checkpoint checkpoint;  // to begin the journal from: replicas as of the end, everything synced
  PeerMark mark;          // of this node, before this start
  std::map<GroupId, std::shared_ptr<ReplicaFiles>> replicas;
  RecoveryReport report;
};

// Brings the segments to what the journal says and makes that durable. The directory's lock is
// held. Every step may be repeated after another crash. DATA_LOSS names file and position; nothing
// is shortened then.
// Decides by the tables of recovery_table.h; `trace`, if given, counts the rows.
absl::StatusOr<Recovered> Recover(const SegmentContext& context, const DirectoryPaths& paths,
                                  RecoveryTrace* trace = nullptr);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_RECOVERY_H_
