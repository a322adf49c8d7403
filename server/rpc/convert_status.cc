// What a broker says of itself and of its replicas, as messages of varve.v1.
#include "server/rpc/convert.h"

namespace varve::server {
namespace {

namespace v1 = varve::v1;

uint64_t Ms(Nanos span) { return span <= 0 ? 0 : static_cast<uint64_t>(span / kMillisecond); }

template <class Id>
std::string Bytes(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

const char* NameOf(BrokerState state) {
  switch (state) {
    case BrokerState::kStarting:
      return "starting";
    case BrokerState::kServing:
      return "serving";
    case BrokerState::kStopping:
      return "stopping";
  }
  return "";
}

const char* NameOf(DirectoryState state) {
  switch (state) {
    case DirectoryState::kOk:
      return "ok";
    case DirectoryState::kSlow:
      return "slow";
    case DirectoryState::kFull:
      return "full";
    case DirectoryState::kFailed:
      return "failed";
  }
  return "";
}

const char* NameOf(Membership membership) {
  switch (membership) {
    case Membership::kVoter:
      return "voter";
    case Membership::kLearner:
      return "learner";
    case Membership::kLeaving:
      return "leaving";
    case Membership::kMissing:
      return "missing";
  }
  return "";
}

const char* NameOf(ReplicaState state) {
  switch (state) {
    case ReplicaState::kNone:
      return "none";
    case ReplicaState::kLeader:
      return "leader";
    case ReplicaState::kReplicate:
      return "replicate";
    case ReplicaState::kProbe:
      return "probe";
    case ReplicaState::kInstall:
      return "install";
  }
  return "";
}

const char* NameOf(PartitionRole role) {
  switch (role) {
    case PartitionRole::kFollower:
      return "follower";
    case PartitionRole::kCandidate:
      return "candidate";
    case PartitionRole::kLeader:
      return "leader";
    case PartitionRole::kSuspect:
      return "suspect";
  }
  return "";
}

const char* NameOf(ConfigurationChange change) {
  switch (change) {
    case ConfigurationChange::kNone:
      return "none";
    case ConfigurationChange::kUncommitted:
      return "uncommitted";
    case ConfigurationChange::kJoint:
      return "joint";
    case ConfigurationChange::kLearning:
      return "learning";
  }
  return "";
}

void ToProto(const Condition& in, v1::Condition* out) {
  const ConditionInfo& info = InfoOf(in.code);
  out->set_code(std::string(info.name));
  out->set_severity(std::string(varve::NameOf(info.severity)));
  out->set_age_ms(Ms(in.age));
  out->set_cause(in.cause);
  out->set_advice(std::string(info.advice));
  out->set_node(in.node.value());
  out->set_group_id(in.group.value());
  out->set_topic(in.topic);
  out->set_partition(in.partition.value());
}

void ToProto(const ReplicaStatus& in, v1::ReplicaStatus* out) {
  out->set_node(in.replica.node.value());
  out->set_epoch(in.replica.epoch.value());
  out->set_membership(NameOf(in.membership));
  out->set_state(NameOf(in.state));
  out->set_live(in.live);
  out->set_in_sync(in.in_sync);
  out->set_match_index(in.match.value());
  out->set_commit_index(in.commit.value());
  out->set_lag_entries(in.lag_entries);
  out->set_lag_bytes(in.lag_bytes);
  out->set_behind_ms(Ms(in.behind));
  out->set_stalled_ms(Ms(in.stalled));
  out->set_full(in.full);
}

void ToProto(const PartitionStatus& in, v1::PartitionStatus* out) {
  out->set_topic(in.topic);
  out->set_partition(in.partition.value());
  out->set_group_id(in.group.value());
  out->set_node(in.self.node.value());
  out->set_epoch(in.self.epoch.value());
  out->set_role(NameOf(in.role));
  out->set_term(in.term.value());
  out->set_leader_node(in.leader.value());
  out->set_serving(in.serving);
  out->set_log_start(in.log_start.value());
  out->set_high_watermark(in.high_watermark.value());
  out->set_log_end(in.log_end.value());
  out->set_size_bytes(in.size_bytes);
  out->set_commit_index(in.commit.value());
  out->set_durable_index(in.durable.value());
  out->set_last_index(in.last.value());
  out->set_damaged_ranges(in.damaged_ranges);
  for (const ReplicaStatus& replica : in.replicas) ToProto(replica, out->add_replicas());
  out->set_under_replicated(in.under_replicated);
  if (in.role == PartitionRole::kLeader) out->set_configuration_change(NameOf(in.change));
}

}  // namespace

absl::StatusOr<DescribeBrokerRequest> FromProto(const v1::DescribeBrokerRequest& in) {
  return DescribeBrokerRequest{in.max_conditions(),
                               {in.required_features().begin(), in.required_features().end()}};
}

absl::StatusOr<DescribePartitionsRequest> FromProto(const v1::DescribePartitionsRequest& in) {
  return DescribePartitionsRequest{in.topic(),
                                   in.page_size(),
                                   in.page_token(),
                                   in.metadata(),
                                   {in.required_features().begin(), in.required_features().end()}};
}

void ToProto(const DescribeBrokerReply& in, v1::DescribeBrokerReply* out) {
  out->set_node(in.node.value());
  out->set_cluster_id(Bytes(in.cluster));
  out->set_directory_id(Bytes(in.directory));
  out->set_version(in.version);
  out->set_address(in.address);
  out->set_peer_address(in.peer_address);
  out->set_state(NameOf(in.state));
  out->set_uptime_ms(Ms(in.uptime));
  out->set_process_epoch(in.process_epoch);
  out->set_controller_node(in.controller.value());
  out->set_replicas(in.replicas);
  out->set_leaders(in.leaders);
  out->set_data_bytes(in.data_bytes);
  out->set_directory_state(NameOf(in.directory_state));
  for (const PeerBroker& peer : in.peers) {
    v1::PeerBroker* to = out->add_peers();
    to->set_node(peer.node.value());
    to->set_address(peer.address);
    to->set_peer_address(peer.peer_address);
    to->set_live(peer.live);
    to->set_heard(peer.silent.has_value());
    if (!peer.silent) continue;
    to->set_silent_ms(Ms(*peer.silent));
    to->set_process_epoch(peer.process_epoch);
    to->set_clock_ahead_ms(peer.clock_ahead_ms);
  }
  for (const Condition& condition : in.conditions) ToProto(condition, out->add_conditions());
  out->set_conditions_total(in.conditions_total);
}

void ToProto(const DescribePartitionsReply& in, v1::DescribePartitionsReply* out) {
  out->set_node(in.node.value());
  for (const PartitionStatus& partition : in.partitions) ToProto(partition, out->add_partitions());
  out->set_next_page_token(in.next_page_token);
}

}  // namespace varve::server
