// Partition: messages of other replicas, installs of whole logs, repairs of damaged segments.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/partition/partition.h"

namespace varve::server {
namespace {

constexpr Nanos kRepairRetry = 2 * kSecond;

}  // namespace

// A suspect replica does not take part.
void Partition::Receive(std::vector<raft::Message> messages) {
  if (!stopped_ && log_->suspicion().ok()) raft_->Receive(std::move(messages));
}

void Partition::Hear(const raft::PeerNews& news) {
  if (stopped_ || !log_->suspicion().ok()) return;
  raft_->Hear(news);
  ArmWatch();
}

void Partition::ReceivePiece(raft::PieceMessage piece) {
  if (stopped_ || peers_ == nullptr) return;
  if (const auto* request = std::get_if<raft::PieceRequest>(&piece)) return ServePiece(*request);
  puller_->OnPiece(std::get<raft::Piece>(std::move(piece)));
}

void Partition::HandOver() {
  if (raft_->core().role() == raft::Role::kLeader) raft_->Give(raft::Transfer{});
}

void Partition::MakeSuspect() {
  if (!suspect_since_) suspect_since_ = clock_.Now();
  raft_->Give(raft::DiskSuspect{});
  TellSuspect();
}

void Partition::OnRefusedMessage(const raft::RefusedMessage& /*refused*/) { ++refused_messages_; }

// --- Sending a log
// --------------------------------------------------------------------------------

// The log up to what it knows to be committed.
std::optional<raft::InstallPoint> Partition::MakeInstallPoint(Index at_least) const {
  const std::vector<LogEnd> ends = log_->ends();
  const Configurations& configurations = log_->configurations();
  if (ends.empty() || ends.front().last_index < at_least) return std::nullopt;
  raft::InstallPoint point;
  point.start = log_->start();
  point.end = ends.front();
  point.configuration = configurations.committed;
  if (point.configuration.index > point.end.last_index) return std::nullopt;
  for (const EpochStart& epoch : log_->epochs())
    if (epoch.index <= point.end.last_index) point.epochs.push_back(epoch);
  return point;
}

void Partition::OnPrepareInstall(const raft::PrepareInstall& prepare) {
  if (auto point = MakeInstallPoint(prepare.at_least)) {
    raft_->Give(raft::InstallReady{prepare.peer, *std::move(point)});
  } else {
    raft_->Give(raft::InstallFailed{prepare.peer});
  }
}

// Whoever asks gets committed entries only. Each other replica asks for one piece at a time; who
// asks for more is not answered.
void Partition::ServePiece(const raft::PieceRequest& request) {
  if (request.to_replica != options_.self || pieces_being_read_ >= limits::kMaxReplicas) return;
  const Index through = std::min(request.through, commit_index());
  auto answer = [peers = peers_, request](std::vector<Entry> entries) {
    peers->SendPiece(raft::Piece{request.group, request.to_replica, request.from_replica,
                                 request.token, request.from, std::move(entries)});
  };
  if (request.from > through) return answer({});
  if (request.from < log_->start().index) {
    // The log that was offered is not there any more: another is to be.
    raft_->Give(raft::InstallFailed{request.from_replica});
    return answer({});
  }
  const size_t most = std::clamp<size_t>(request.max_bytes, 1, 1 * limits::kMiB);
  ++pieces_being_read_;
  log_->Read(request.from, through, most,
             [this, answer = std::move(answer)](absl::StatusOr<storage::ReadResult> read) mutable {
               --pieces_being_read_;
               answer(read.ok() ? std::move(read->entries) : std::vector<Entry>());
             });
}

// --- Taking one
// -----------------------------------------------------------------------------------

void Partition::OnStageInstall(const raft::StageInstall& stage) {
  if (!puller_) return raft_->Give(raft::InstallFailed{options_.self});
  if (metrics_ != nullptr) metrics_->installs_begun.Add();
  const raft::InstallPoint& point = stage.point;
  puller_->Pull(stage.from, point.start.index, point.end.last_index, log_->Stage(),
                [this, point](absl::StatusOr<std::unique_ptr<storage::StagedLog>> staged) {
                  if (!staged.ok() || (*staged)->end() != point.end) {
                    if (metrics_ != nullptr) metrics_->installs_failed.Add();
                    return raft_->Give(raft::InstallFailed{options_.self});
                  }
                  log_store_.SetStaged(*std::move(staged));
                  raft_->Give(raft::InstallStaged{point});
                });
}

// --- Repairs
// --------------------------------------------------------------------------------------

void Partition::ArmRepair() {
  if (repair_timer_ != TimerId{} || stopped_) return;
  repair_timer_ = shard_.RunAt(clock_.Now() + kRepairRetry, [self = self_] {
    if (*self == nullptr) return;
    (*self)->repair_timer_ = TimerId{};
    (*self)->RepairDamage();
  });
}

// Another one each time: whose copy is damaged too answers with nothing.
ReplicaId Partition::RepairSource() {
  const Configuration& now = raft_->core().log().configuration();
  std::vector<ReplicaId> others;
  for (const auto* members : {&now.voters, &now.outgoing, &now.learners})
    for (const ReplicaId member : *members)
      if (member.node != options_.self.node) others.push_back(member);
  if (others.empty()) return {};
  return others[repair_attempts_++ % others.size()];
}

void Partition::RepairDamage() {
  const std::vector<storage::DamagedRange> damaged = log_->damaged_ranges();
  if (damaged.empty()) {
    damaged_since_.reset();
  } else if (!damaged_since_) {
    damaged_since_ = clock_.Now();
  }
  if (stopped_ || !puller_ || damaged.empty()) return;
  const ReplicaId source = RepairSource();
  if (source.empty() || puller_->pulling()) return ArmRepair();
  const std::vector<storage::SegmentSpan> segments = log_->Segments();
  const Index broken = damaged.front().first;
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const Index last = segments[i + 1].first_index - 1;
    if (broken < segments[i].first_index || broken > last) continue;
    return puller_->Pull(source, segments[i].first_index, last, log_->Stage(),
                         [this](auto staged) { FinishRepair(std::move(staged)); });
  }
  ArmRepair();  // the active segment: when it is closed
}

void Partition::FinishRepair(absl::StatusOr<std::unique_ptr<storage::StagedLog>> staged) {
  if (!staged.ok()) return ArmRepair();
  log_->Repair(*std::move(staged), [self = self_](const absl::Status& status) {
    if (*self == nullptr) return;
    if (!status.ok()) return (*self)->ArmRepair();
    if ((*self)->metrics_ != nullptr) (*self)->metrics_->segments_repaired.Add();
    (*self)->repair_attempts_ = 0;
    (*self)->RepairDamage();  // the next damaged segment
  });
}

}  // namespace varve::server
