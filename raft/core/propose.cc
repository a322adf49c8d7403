// Proposals: what is refused, and how an accepted one enters the log.
#include <limits>
#include <utility>

#include "common/record_batch.h"
#include "raft/core/core.h"
#include "raft/core/quorum.h"

namespace varve::raft {
namespace {

// Smallest Meta body: its type and version.
constexpr size_t kMinMetaBytes = 4;

bool PayloadFits(EntryKind kind, const FrameBuffer& payload, uint32_t records) {
  if (payload.empty()) return false;
  switch (kind) {
    case EntryKind::kData:
      return payload.payload_bytes() >= kBatchHeaderBytes && records > 0 &&
             records <= uint32_t{std::numeric_limits<int32_t>::max()};
    case EntryKind::kConfig:
      return records == 0;
    case EntryKind::kMeta:
      return payload.payload_bytes() >= kMinMetaBytes && records == 0;
    case EntryKind::kBarrier:
      return false;  // the core alone writes barriers
  }
  return false;
}

}  // namespace

std::optional<Reason> Core::WhyNotLeading(const Propose& propose) const {
  if (role_ != Role::kLeader) return leader_.empty() ? Reason::LEADER_UNKNOWN : Reason::NOT_LEADER;
  if (propose.expected_term && *propose.expected_term != hard_state_.term) {
    return Reason::NOT_LEADER;
  }
  return std::nullopt;
}

std::optional<Reason> Core::WhyMalformed(const Propose& propose) const {
  if (propose.payload.payload_bytes() > limits::kMaxEntryPayloadBytes) {
    return Reason::BATCH_TOO_LARGE;
  }
  if (!PayloadFits(propose.kind, propose.payload, propose.records)) return Reason::INVALID_REQUEST;
  constexpr int64_t kLargestOffset = std::numeric_limits<int64_t>::max() - 1;
  if (kLargestOffset - end_.next_offset.value() < propose.records) return Reason::INVALID_REQUEST;
  return std::nullopt;
}

// One change at a time, and none before an entry of this term is committed: else two leaders could
// count majorities that do not overlap (Ongaro's correction of single-server changes, 2015).
std::optional<Reason> Core::WhyNotNow(const Configuration& configuration) const {
  if (!confirmed_ || configurations_.uncommitted) return Reason::OVERLOADED;
  if (!IsSoleVoter(configuration, options_.self)) return Reason::UNSUPPORTED_FEATURE;
  return std::nullopt;
}

void Core::On(Propose propose) {
  const auto refuse = [&](Reason reason) {
    effects_.results.push_back({propose.id, ProposalRefused{reason}});
  };
  if (const auto reason = WhyNotLeading(propose)) return refuse(*reason);
  if (const auto reason = WhyMalformed(propose)) return refuse(*reason);
  std::optional<Configuration> configuration;
  if (propose.kind == EntryKind::kConfig) {
    auto decoded = DecodeConfiguration(propose.payload.payload_view());
    if (!decoded.ok()) return refuse(Reason::INVALID_REQUEST);
    configuration = *std::move(decoded);
    if (const auto reason = WhyNotNow(*configuration)) return refuse(*reason);
  }
  const size_t frame_bytes = kEntryHeaderBytes + propose.payload.payload_bytes();
  // The first always fits, or an entry above the limit could never be written.
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + frame_bytes > options_.max_uncommitted_bytes) {
    return refuse(Reason::OVERLOADED);
  }
  uncommitted_bytes_ += frame_bytes;
  const Index index =
      Append(propose.kind, std::move(propose.payload), propose.records, propose.now, propose.id);
  if (configuration) {
    configurations_.uncommitted = {index, *std::move(configuration)};
    effects_.disk.back().write.configurations = configurations_;
    configurations_changed_ = false;
  }
}

}  // namespace varve::raft
