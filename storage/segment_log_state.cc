// SegmentLog: saved derived states beside the segments.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/segment_log.h"
#include "storage/segment_names.h"
#include "storage/state_files.h"

namespace varve::storage {
namespace {

// On the sync executor, as the removal of a replica's directory.
absl::Status SaveBlocking(const SegmentContext& context, SegmentWriter& writer,
                          ReplicaFiles& replica, const SavedState& name, std::string_view state) {
  {
    std::lock_guard lock(replica.mutex);
    if (replica.removed)
      return MakeError(Reason::SHUTTING_DOWN, "the replica of group ", replica.group,
                       " was removed");
  }
  const std::string path = JoinPath(replica.directory, StateFileName(name));
  VARVE_RETURN_IF_ERROR(WriteStateFile(context, writer, path, replica.group, name, state));
  std::vector<SavedState> surplus;
  {
    std::lock_guard lock(replica.mutex);
    AddState(name, &replica.states);
    surplus = TakeSurplusStates(&replica);
  }
  // What stays behind for an error, or a crash, goes at the next start, or is there in vain.
  for (const SavedState& old : surplus)
    (void)context.files.RemoveFile(JoinPath(replica.directory, StateFileName(old)));
  return absl::OkStatus();
}

// On the reader's executor: the newest one that verifies.
absl::StatusOr<std::optional<LoadedState>> LoadBlocking(const SegmentContext& context,
                                                        ReplicaFiles& replica, Index at_most) {
  std::vector<SavedState> states;
  {
    std::lock_guard lock(replica.mutex);
    states = UsableStates(replica);
  }
  LoadedState out;
  for (auto state = states.rbegin(); state != states.rend(); ++state) {
    if (state->index > at_most) continue;
    auto read = ReadStateFile(context.files, context.identity,
                              JoinPath(replica.directory, StateFileName(*state)), replica.group,
                              *state, nullptr);
    if (read.ok()) {
      out.name = *state;
      out.state = *std::move(read);
      return out;
    }
    const Reason why = ReasonOf(read.status());
    if (why == Reason::DISK_FAILED) return read.status();
    out.refused.emplace_back(MessageOf(read.status()));
    std::lock_guard lock(replica.mutex);
    std::erase(replica.states, *state);
  }
  return std::nullopt;
}

}  // namespace

std::vector<SavedState> SegmentLog::SavedStates() const {
  std::lock_guard lock(files_->mutex);
  return UsableStates(*files_);
}

void SegmentLog::SaveState(const StatePosition& at, std::string state, Done done) {
  VARVE_CHECK(shard_.InExecutor());
  absl::Status why = parts_.writer->health();
  why.Update(files_->suspicion);
  if (why.ok() && (at.group != files_->group || at.index == Index{} || TermAt(at.index) != at.term))
    why = MakeError(Reason::INTERNAL, "group ", files_->group, ": the log holds no entry ",
                    at.index, " of term ", at.term, " whose state could be saved");
  if (!why.ok()) return Refuse(std::move(done), std::move(why));
  parts_.writer->RunOnSyncer([context = parts_.context, writer = parts_.writer, files = files_,
                              &shard = shard_, self = self_, name = SavedState{at.index, at.term},
                              state = std::move(state), done = std::move(done)]() mutable {
    absl::Status status = SaveBlocking(context, *writer, *files, name, state);
    shard.Post([self, done = std::move(done), status = std::move(status)]() mutable {
      if (*self != nullptr) done(std::move(status));
    });
  });
}

void SegmentLog::LoadState(Index at_most, LoadDone done) {
  VARVE_CHECK(shard_.InExecutor());
  parts_.reader.Post([context = parts_.context, files = files_, &shard = shard_, self = self_,
                      at_most, done = std::move(done)]() mutable {
    auto loaded = LoadBlocking(context, *files, at_most);
    shard.Post([self, done = std::move(done), loaded = std::move(loaded)]() mutable {
      if (*self != nullptr) done(std::move(loaded));
    });
  });
}

}  // namespace varve::storage
