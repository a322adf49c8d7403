#include "common/config.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/error.h"
#include "common/limits.h"

namespace varve {
namespace {

constexpr uint16_t kConfigurationVersion = 1;

void PutReplicas(const std::vector<ReplicaId>& replicas, ByteWriter* out) {
  out->Put(static_cast<uint32_t>(replicas.size()));
  for (const ReplicaId& replica : replicas) {
    out->Put(replica.node.value());
    out->Put(replica.epoch.value());
  }
}

absl::Status GetReplicas(ByteReader* in, std::string_view list, std::vector<ReplicaId>* out) {
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || count > limits::kMaxReplicas || in->remaining() / 8 < count) {
    return MakeError(Reason::DATA_LOSS, "configuration: ", list, " claims ", count,
                     " replicas, more than the bytes or the limit of ", limits::kMaxReplicas,
                     " allow");
  }
  out->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    ReplicaId replica;
    replica.node = NodeId{in->Get<uint32_t>()};
    replica.epoch = ReplicaEpoch{in->Get<uint32_t>()};
    if (replica.empty()) {
      return MakeError(Reason::DATA_LOSS, "configuration: ", list, " names node 0");
    }
    if (!out->empty() && out->back() >= replica) {
      return MakeError(Reason::DATA_LOSS, "configuration: ", list, " is not sorted at node ",
                       replica.node);
    }
    out->push_back(replica);
  }
  return absl::OkStatus();
}

// Leaving a joint configuration must give one that can be read: whoever leads appends it.
absl::Status CheckLeaving(const Configuration& configuration) {
  const auto& learners = configuration.learners;
  for (const ReplicaId& next : configuration.learners_next) {
    const bool votes = std::any_of(configuration.voters.begin(), configuration.voters.end(),
                                   [&](const ReplicaId& v) { return v.node == next.node; });
    if (votes) {
      return MakeError(Reason::DATA_LOSS, "configuration: node ", next.node,
                       " is both voter and to become learner");
    }
    if (std::binary_search(learners.begin(), learners.end(), next)) {
      return MakeError(Reason::DATA_LOSS, "configuration: node ", next.node,
                       " is to become learner and is a learner already");
    }
  }
  const size_t count = learners.size() + configuration.learners_next.size();
  if (count > limits::kMaxReplicas) {
    return MakeError(Reason::DATA_LOSS, "configuration: ", count,
                     " learners after leaving, more than the limit of ", limits::kMaxReplicas);
  }
  return absl::OkStatus();
}

// What the lists must satisfy together.
absl::Status CheckConfiguration(const Configuration& configuration) {
  const bool others = !configuration.outgoing.empty() || !configuration.learners.empty();
  if (configuration.voters.empty() && others) {
    return MakeError(Reason::DATA_LOSS, "configuration: replicas but no voters");
  }
  for (const ReplicaId& learner : configuration.learners) {
    const bool votes = std::any_of(configuration.voters.begin(), configuration.voters.end(),
                                   [&](const ReplicaId& v) { return v.node == learner.node; });
    if (votes) {
      return MakeError(Reason::DATA_LOSS, "configuration: node ", learner.node,
                       " is both voter and learner");
    }
  }
  if (!std::includes(configuration.outgoing.begin(), configuration.outgoing.end(),
                     configuration.learners_next.begin(), configuration.learners_next.end())) {
    return MakeError(Reason::DATA_LOSS,
                     "configuration: a replica to become learner is no outgoing voter");
  }
  return CheckLeaving(configuration);
}

}  // namespace

std::string EncodeConfiguration(const Configuration& configuration) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(kConfigurationVersion);
  out.Put(static_cast<uint8_t>(configuration.auto_leave ? 1 : 0));
  out.Put(uint8_t{0});
  PutReplicas(configuration.voters, &out);
  PutReplicas(configuration.outgoing, &out);
  PutReplicas(configuration.learners, &out);
  PutReplicas(configuration.learners_next, &out);
  return bytes;
}

absl::StatusOr<Configuration> DecodeConfiguration(std::string_view bytes) {
  ByteReader in(bytes);
  const auto version = in.Get<uint16_t>();
  const auto auto_leave = in.Get<uint8_t>();
  const auto padding = in.Get<uint8_t>();
  if (!in.ok() || version != kConfigurationVersion || auto_leave > 1 || padding != 0) {
    return MakeError(Reason::DATA_LOSS, "configuration of ", bytes.size(),
                     " bytes has no valid header (version ", version, ")");
  }
  Configuration out;
  out.auto_leave = auto_leave == 1;
  VARVE_RETURN_IF_ERROR(GetReplicas(&in, "voters", &out.voters));
  VARVE_RETURN_IF_ERROR(GetReplicas(&in, "outgoing", &out.outgoing));
  VARVE_RETURN_IF_ERROR(GetReplicas(&in, "learners", &out.learners));
  VARVE_RETURN_IF_ERROR(GetReplicas(&in, "learners_next", &out.learners_next));
  if (in.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, "configuration: ", in.remaining(), " bytes left over");
  }
  VARVE_RETURN_IF_ERROR(CheckConfiguration(out));
  return out;
}

}  // namespace varve
