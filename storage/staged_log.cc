#include "storage/staged_log.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"
#include "storage/state_files.h"

namespace varve::storage {

StagedLog::StagedLog(Journal& journal, std::shared_ptr<SegmentWriter> writer,
                     const SegmentContext& context, std::shared_ptr<ReplicaFiles> files,
                     Executor& shard)
    : journal_(journal),
      writer_(std::move(writer)),
      context_(context),
      files_(std::move(files)),
      shard_(shard),
      self_(std::make_shared<StagedLog*>(this)) {}

StagedLog::~StagedLog() {
  *self_ = nullptr;
  RemoveFiles();
}

std::vector<StagedSegment> StagedLog::Take() {
  VARVE_CHECK(finished_ && !busy_);
  return std::exchange(segments_, {});
}

// Not in turn: what waits for room may wait for that of these files. What is still to be written to
// them is not. A failure leaves them to the next start.
void StagedLog::RemoveFiles() {
  if (segments_.empty()) return;
  writer_->RunOnWriter([segments = std::exchange(segments_, {}), dropped = dropped_, files = files_,
                        &file_system = context_.files,
                        state = std::exchange(state_name_, std::nullopt)] {
    *dropped = true;
    for (const StagedSegment& staged : segments) (void)staged.segment->Remove();
    if (!state) return;
    {
      // The log may have saved the same one itself.
      std::lock_guard lock(files->mutex);
      if (std::binary_search(files->states.begin(), files->states.end(), *state)) return;
    }
    (void)file_system.RemoveFile(JoinPath(files->directory, StateFileName(*state)));
  });
}

absl::Status StagedLog::BeginSegment(const Entry& start, std::vector<Piece>* pieces) {
  const auto body = DecodeMeta(start.payload());
  if (!body.ok()) return body.status();
  const EntryHeader& header = start.header;
  if (segments_.empty()) {
    epochs_ = std::get<SegmentStart>(*body).epochs;
    end_ = {header.first_index - 1, header.term, header.base_offset, WallTime{0}};
  } else {
    segments_.back().ref.end_position = segments_.back().end;
  }
  const SegmentRef ref{journal_.NextFileNumber(), header.base_offset, header.first_index, 0};
  auto segment = std::make_shared<Segment>(context_, files_->directory, files_->group, ref);
  pieces->push_back({segment, true, kFileHeaderBytes, {}});
  segments_.push_back({std::move(segment), ref, kFileHeaderBytes, header.append_time});
  return absl::OkStatus();
}

// What the headers say; the bytes are verified where they are written.
absl::Status StagedLog::Plan(std::vector<Entry> entries, std::vector<Piece>* pieces) {
  for (Entry& entry : entries) {
    const EntryHeader header = entry.header;
    const bool begins = header.kind == EntryKind::kMeta && IsSegmentStart(entry.payload());
    if (header.group != files_->group || (segments_.empty() && !begins)) {
      return MakeError(Reason::DATA_LOSS, "entry ", header.first_index, " of group ", header.group,
                       " begins no segment of group ", files_->group);
    }
    if (begins) {
      VARVE_RETURN_IF_ERROR(BeginSegment(entry, pieces));
    } else if (pieces->empty()) {
      pieces->push_back({segments_.back().segment, false, segments_.back().end, {}});
    }
    if (header.first_index != end_.last_index + 1 || header.base_offset != end_.next_offset ||
        header.term < end_.last_term || header.append_time < end_.append_time) {
      return MakeError(Reason::DATA_LOSS, "entry ", header.first_index, " at offset ",
                       header.base_offset, " does not continue what ends at ", end_.last_index,
                       ", offset ", end_.next_offset);
    }
    StagedSegment& active = segments_.back();
    active.segment->Note(header, MaxRecordTimestamp(header, entry.frame.view()), active.end);
    active.end += header.frame_bytes();
    if (epochs_.empty() || epochs_.back().term < header.term) {
      epochs_.push_back({header.term, header.first_index, header.base_offset});
    }
    end_ = {header.last_index, header.term, header.next_offset(), header.append_time};
    pieces->back().entries.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status StagedLog::Carry(FileSystem& files, const std::string& directory,
                              const std::vector<Piece>& pieces) {
  for (const Piece& piece : pieces) {
    for (const Entry& entry : piece.entries) {
      const auto verified = VerifyEntryFrame(entry.frame.view());
      if (!verified.ok()) return verified.status();
      if (!(*verified == entry.header)) {
        return MakeError(Reason::DATA_LOSS, "the frame of entry ", entry.header.first_index,
                         " says otherwise than its header");
      }
    }
    if (piece.create) {
      VARVE_RETURN_IF_ERROR(files.CreateDirectory(directory));
      VARVE_RETURN_IF_ERROR(piece.segment->Create());
    }
    VARVE_RETURN_IF_ERROR(piece.segment->Write(piece.position, piece.entries));
  }
  return absl::OkStatus();
}

std::vector<StagedSegment> StagedLog::TakeClosed() {
  if (segments_.size() <= synced_ + 1) return {};
  const auto from = segments_.begin() + static_cast<ptrdiff_t>(synced_);
  synced_ = segments_.size() - 1;
  return {from, std::prev(segments_.end())};
}

// A sync that fails has failed for the directory, as any other.
absl::Status StagedLog::Sync(SegmentWriter& writer, const std::vector<StagedSegment>& segments) {
  VARVE_RETURN_IF_ERROR(writer.health());
  for (const StagedSegment& staged : segments) {
    if (const absl::Status status = staged.segment->SyncData(); !status.ok()) {
      writer.Fail(status);
      return writer.health();
    }
    // A hint, which a full disk need not take.
    (void)staged.segment->SaveIndex(staged.segment->TakeUnsavedRows(staged.end));
  }
  return absl::OkStatus();
}

void StagedLog::Append(std::vector<Entry> entries, Done done) {
  VARVE_CHECK(shard_.InExecutor() && !busy_ && !finished_);
  std::vector<Piece> pieces;
  if (failure_.ok()) failure_ = Plan(std::move(entries), &pieces);
  busy_ = true;
  if (!failure_.ok()) return Answer(std::move(done), failure_);
  const auto answer = [self = self_, &shard = shard_](Done to, absl::Status status) {
    shard.Post([self, to = std::move(to), status = std::move(status)]() mutable {
      if (*self == nullptr) return;
      (*self)->failure_ = status;
      (*self)->busy_ = false;
      to(std::move(status));
    });
  };
  writer_->RunInTurn([answer, &files = context_.files, dropped = dropped_,
                      directory = files_->directory, pieces = std::move(pieces),
                      closed = TakeClosed(),
                      done = std::move(done)](SegmentWriter& writer) mutable {
    if (*dropped) return;
    absl::Status status = writer.health();
    if (status.ok()) status = Carry(files, directory, pieces);
    if (!status.ok() || closed.empty()) return answer(std::move(done), std::move(status));
    // Each is an open file until it is synced.
    writer.RunOnSyncer(
        [answer, writer = writer.shared_from_this(), closed = std::move(closed),
         done = std::move(done)]() mutable { answer(std::move(done), Sync(*writer, closed)); });
  });
}

absl::Status StagedLog::SetState(std::string state) {
  VARVE_CHECK(shard_.InExecutor() && !finished_);
  VARVE_ASSIGN_OR_RETURN(const StateSummary summary, DecodeState(state, nullptr));
  if (summary.at.group != files_->group) {
    return MakeError(Reason::DATA_LOSS, "the state of group ", summary.at.group,
                     " is staged for group ", files_->group);
  }
  state_name_ = {summary.at.index, summary.at.term};
  state_ = std::move(state);
  return absl::OkStatus();
}

absl::Status StagedLog::WhyNotState() const {
  if (!state_name_) return absl::OkStatus();
  const auto after = std::upper_bound(epochs_.begin(), epochs_.end(), state_name_->index,
                                      [](Index i, const EpochStart& e) { return i < e.index; });
  if (state_name_->index >= first_index() && state_name_->index <= end_.last_index &&
      after != epochs_.begin() && std::prev(after)->term == state_name_->term) {
    return absl::OkStatus();
  }
  return MakeError(Reason::DATA_LOSS, "a state at index ", state_name_->index, ", term ",
                   state_name_->term, " is not of the entries staged, ", first_index(), " to ",
                   end_.last_index);
}

void StagedLog::Finish(Done done) {
  VARVE_CHECK(shard_.InExecutor() && !busy_ && !finished_);
  busy_ = true;
  if (failure_.ok() && segments_.empty()) {
    failure_ = MakeError(Reason::DATA_LOSS, "nothing was staged");
  }
  if (failure_.ok()) failure_ = WhyNotState();
  if (!failure_.ok()) return Answer(std::move(done), failure_);
  writer_->RunOnSyncer([self = self_, &shard = shard_, context = context_, writer = writer_,
                        files = files_, segments = segments_, name = state_name_,
                        state = std::exchange(state_, {}), done = std::move(done)]() mutable {
    absl::Status status = Sync(*writer, segments);
    if (status.ok() && name) {
      status = WriteStateFile(context, *writer, JoinPath(files->directory, StateFileName(*name)),
                              files->group, *name, state);
    }
    if (status.ok()) {
      status = context.files.SyncDirectory(files->directory);
      if (!status.ok()) {
        writer->Fail(status);
        status = writer->health();
      }
    }
    shard.Post([self, done = std::move(done), status = std::move(status)]() mutable {
      if (*self == nullptr) return;
      (*self)->failure_ = status;
      (*self)->busy_ = false;
      (*self)->finished_ = status.ok();
      done(std::move(status));
    });
  });
}

void StagedLog::Answer(Done done, absl::Status status) {
  shard_.Post([self = self_, done = std::move(done), status = std::move(status)]() mutable {
    if (*self == nullptr) return;
    (*self)->busy_ = false;
    done(std::move(status));
  });
}

}  // namespace varve::storage
