// LocalDirectory: how replicas and their files go.
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/local_directory.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

// How often a removal that found no room is tried again.
constexpr Nanos kBurialRetry = 100 * kMillisecond;

}  // namespace

void LocalDirectory::RemoveLog(GroupId group, Executor& shard, PartitionLog::Done done) {
  std::shared_ptr<ReplicaFiles> replica;
  {
    std::lock_guard lock(mutex_);
    if (auto node = replicas_.extract(group); !node.empty()) {
      replica = std::move(node.mapped());
      burying_[group];
      reserve_->SetReplicas(replicas_.size());
    }
  }
  if (!replica) {
    return shard.Post([done = std::move(done), group]() mutable {
      done(absl::NotFoundError(absl::StrCat("group ", group.value(), " has no replica here")));
    });
  }
  JournalFrame frame;
  frame.group = group;
  frame.replica_epoch = replica->epoch;
  {
    std::lock_guard lock(replica->mutex);
    VARVE_CHECK(!replica->log_open, "the log of group ", group, " is removed while it is open");
    frame.sequence = replica->last_frame + 1;
    frame.scalars = replica->scalars;
    replica->cache.clear();
  }
  frame.steps.push_back(RemoveReplicaStep{});
  const FrameSequence removal = frame.sequence;
  const FileNumber number = journal_->NextFileNumber();
  // Behind the writes of the replica that are still queued; those that wait for room, which may
  // come of this removal alone, are given up.
  auto bury = WhileAlive([this, replica, removal, number] {
    executors_.segments->Post(WhileAlive([this, replica, removal, number] {
      {
        std::lock_guard lock(replica->mutex);
        replica->removed = true;
      }
      executors_.sync->Post(
          WhileAlive([this, replica, removal, number] { BuryReplica(replica, removal, number); }));
    }));
  });
  journal_->Submit(
      std::move(frame), true,
      [bury = std::move(bury), give_up = WhileAlive([this, group] { EndBurial(group); }), &shard,
       done = std::move(done)](absl::Status status) mutable {
        if (status.ok()) {
          bury();
        } else {
          give_up();
        }
        shard.Post([done = std::move(done), status = std::move(status)]() mutable {
          done(std::move(status));
        });
      });
}

void LocalDirectory::EndBurial(GroupId group) {
  std::vector<Task> waiting;
  {
    std::lock_guard lock(mutex_);
    if (auto node = burying_.extract(group); !node.empty()) waiting = std::move(node.mapped());
  }
  for (Task& creation : waiting) creation();
}

void LocalDirectory::BuryReplica(const std::shared_ptr<ReplicaFiles>& replica,
                                 FrameSequence removal, FileNumber number) {
  if (!writer_->health().ok()) return EndBurial(replica->group);
  {
    std::lock_guard lock(replica->mutex);
    for (const PlacedSegment& placed : replica->segments)
      context_.pool->Forget(placed.segment->path());
    writer_->ForgetUnsynced(replica.get());
  }
  absl::Status status = MoveToTrash(*replica, number);
  if (ReasonOf(status) == Reason::NO_SPACE) {
    // A name in the trash may need a block. The journal has the removal: nothing is lost by
    // waiting.
    reserve_->Draw(limits::kBlockBytes).IgnoreError();
    executors_.sync->RunAt(
        clock_.Now() + kBurialRetry,
        WhileAlive([this, replica, removal, number] { BuryReplica(replica, removal, number); }));
    return;
  }
  if (status.ok()) status = files_.SyncDirectory(paths_.trash);
  if (status.ok()) status = files_.SyncDirectory(paths_.groups);
  if (status.ok()) {
    journal_->NoteDurableInSegments(replica->group, removal, {});
    ArmTrash();
  } else {
    writer_->Fail(status);
  }
  EndBurial(replica->group);
}

absl::Status LocalDirectory::MoveToTrash(const ReplicaFiles& replica, FileNumber number) {
  // Numbers that no frame names are given again after a restart.
  std::string target;
  do {
    target = JoinPath(paths_.trash, StrCat(GroupDirectoryName(replica.group), "-", number));
    number = journal_->NextFileNumber();
  } while (files_.Stat(target).ok());
  const absl::Status moved = files_.Rename(replica.directory, target);
  // Its creation may have waited for room, and was given up.
  return absl::IsNotFound(moved) ? absl::OkStatus() : moved;
}

// --- Trash
// ----------------------------------------------------------------------------------------

void LocalDirectory::ArmTrash() {
  executors_.sync->RunAt(clock_.Now() + options_.trash_delay, WhileAlive([this] { EmptyTrash(); }));
}

// What lies there for a shorter time goes a little early: the delay protects from mistakes, not
// from crashes.
void LocalDirectory::EmptyTrash() {
  const auto entries = files_.List(paths_.trash);
  if (!entries.ok()) return;
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(paths_.trash, entry.name);
    if (!entry.is_directory) {
      files_.RemoveFile(path).IgnoreError();
      continue;
    }
    if (const auto inside = files_.List(path); inside.ok())
      for (const DirectoryEntry& file : *inside)
        files_.RemoveFile(JoinPath(path, file.name)).IgnoreError();
    // What could not be removed is tried again after the next start.
    files_.RemoveDirectory(path).IgnoreError();
  }
}

}  // namespace varve::storage
