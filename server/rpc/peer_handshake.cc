#include "server/rpc/peer_handshake.h"

#include <charconv>
#include <optional>
#include <string>

#include "common/error.h"

namespace varve::server {
namespace {

constexpr char kVersionKey[] = "varve-peer-version";
constexpr char kClusterKey[] = "varve-cluster";
constexpr char kFromKey[] = "varve-from";
constexpr char kToKey[] = "varve-to";
constexpr char kEpochKey[] = "varve-process-epoch";
constexpr char kLaneKey[] = "varve-lane";
constexpr char kAcceptedKey[] = "varve-accepted-by";

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// Nothing when it is absent or there twice: then the two sides could read different ones.
std::optional<std::string_view> Find(const Metadata& metadata, const char* key) {
  const auto [first, last] = metadata.equal_range(key);
  if (first == last || std::next(first) != last) return std::nullopt;
  return std::string_view(first->second.data(), first->second.size());
}

template <class Int>
bool FindNumber(const Metadata& metadata, const char* key, Int* out) {
  const auto text = Find(metadata, key);
  if (!text) return false;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *out);
  return error == std::errc() && end == text->data() + text->size();
}

absl::Status Missing(const char* key) {
  return MakeError(Reason::INVALID_REQUEST, "the connection's metadata has no valid ",
                   std::string_view(key));
}

}  // namespace

std::string_view NameOf(raft::Lane lane) {
  return lane == raft::Lane::kControl ? "control" : "bulk";
}

void WriteHandshake(const PeerHandshake& handshake, grpc::ClientContext* context) {
  context->AddMetadata(kVersionKey, std::to_string(kPeerProtocolVersion));
  context->AddMetadata(kClusterKey, handshake.cluster.ToString());
  context->AddMetadata(kFromKey, std::to_string(handshake.from.value()));
  context->AddMetadata(kToKey, std::to_string(handshake.to.value()));
  context->AddMetadata(kEpochKey, std::to_string(handshake.process_epoch));
  context->AddMetadata(kLaneKey, std::string(NameOf(handshake.lane)));
}

absl::StatusOr<PeerHandshake> ReadHandshake(const Metadata& metadata) {
  // First: another version may mean something else by the other keys.
  uint32_t version = 0;
  if (!FindNumber(metadata, kVersionKey, &version)) return Missing(kVersionKey);
  if (version != kPeerProtocolVersion)
    return MakeError(Reason::UNSUPPORTED_FEATURE, "version ", version,
                     " of the protocol between brokers; this one has ", kPeerProtocolVersion);
  PeerHandshake out;
  const auto cluster = Find(metadata, kClusterKey);
  if (!cluster || !ClusterId::Parse(*cluster, &out.cluster) || out.cluster.empty())
    return Missing(kClusterKey);
  NodeId::rep from = 0, to = 0;
  if (!FindNumber(metadata, kFromKey, &from) || from == 0) return Missing(kFromKey);
  if (!FindNumber(metadata, kToKey, &to) || to == 0) return Missing(kToKey);
  if (!FindNumber(metadata, kEpochKey, &out.process_epoch)) return Missing(kEpochKey);
  const auto lane = Find(metadata, kLaneKey);
  if (lane != NameOf(raft::Lane::kControl) && lane != NameOf(raft::Lane::kBulk))
    return Missing(kLaneKey);
  out.lane = lane == NameOf(raft::Lane::kBulk) ? raft::Lane::kBulk : raft::Lane::kControl;
  out.from = NodeId(from);
  out.to = NodeId(to);
  return out;
}

void WriteAccepted(NodeId node, grpc::CallbackServerContext* context) {
  context->AddInitialMetadata(kAcceptedKey, std::to_string(node.value()));
}

bool ReadAccepted(NodeId node, const Metadata& metadata) {
  NodeId::rep by = 0;
  return FindNumber(metadata, kAcceptedKey, &by) && NodeId(by) == node;
}

}  // namespace varve::server
