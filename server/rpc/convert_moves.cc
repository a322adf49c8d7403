// Conversions: where replicas are and which of them leads.
#include "common/error.h"
#include "common/limits.h"
#include "server/rpc/convert.h"

namespace varve::server {
namespace {

namespace v1 = varve::v1;

template <class Names>
std::vector<std::string> Features(const Names& names) {
  return {names.begin(), names.end()};
}

}  // namespace

absl::StatusOr<AddPartitionsRequest> FromProto(const v1::AddPartitionsRequest& in) {
  AddPartitionsRequest out;
  out.name = in.name();
  VARVE_RETURN_IF_ERROR(ReadTopicId(in.id(), &out.id));
  out.partitions = in.partitions();
  out.validate_only = in.validate_only();
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<MovePartitionRequest> FromProto(const v1::MovePartitionRequest& in) {
  MovePartitionRequest out;
  out.topic = in.topic();
  out.partition = PartitionId(in.partition());
  if (in.replica_nodes_size() > static_cast<int>(limits::kMaxRequestItems))
    return MakeError(Reason::REQUEST_TOO_LARGE, "replica_nodes has ", in.replica_nodes_size(),
                     " items, more than ", limits::kMaxRequestItems);
  for (const uint32_t node : in.replica_nodes()) out.nodes.push_back(NodeId(node));
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<TransferLeaderRequest> FromProto(const v1::TransferLeaderRequest& in) {
  return TransferLeaderRequest{in.topic(), PartitionId(in.partition()), NodeId(in.to_node()),
                               Features(in.required_features())};
}

absl::StatusOr<SetBrokerDutyRequest> FromProto(const v1::SetBrokerDutyRequest& in) {
  return SetBrokerDutyRequest{NodeId(in.node()), in.leave(), NodeId(in.replacement_node()),
                              Features(in.required_features())};
}

void ToProto(const MovePartitionReply& /*in*/, v1::MovePartitionReply* /*out*/) {}
void ToProto(const TransferLeaderReply& /*in*/, v1::TransferLeaderReply* /*out*/) {}
void ToProto(const SetBrokerDutyReply& /*in*/, v1::SetBrokerDutyReply* /*out*/) {}

}  // namespace varve::server
