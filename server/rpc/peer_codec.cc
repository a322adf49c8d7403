#include "server/rpc/peer_codec.h"

#include <cstring>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"
#include "server/rpc/status_codec.h"

namespace varve::server {
namespace {

namespace pb = varve::internal::v1;

// What the reason says as well; all else is a detail of this error.
constexpr char kOutcome[] = "outcome";
constexpr char kRetryable[] = "retryable";
constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";

template <class Tag>
std::string BytesOf(const Id128<Tag>& id) {
  if (id.empty()) return {};
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// Empty stays empty.
template <class Tag>
absl::Status ReadId(const std::string& bytes, std::string_view field, Id128<Tag>* out) {
  if (bytes.empty()) return absl::OkStatus();
  if (bytes.size() != out->bytes.size())
    return MakeError(Reason::INVALID_REQUEST, field, " has ", bytes.size(), " bytes, not 16");
  std::memcpy(out->bytes.data(), bytes.data(), bytes.size());
  return absl::OkStatus();
}

absl::Status ReadAddress(const std::string& text, std::string_view field, std::string* out) {
  if (text.size() > kMaxPeerAddressBytes)
    return MakeError(Reason::INVALID_REQUEST, field, " is longer than ", kMaxPeerAddressBytes,
                     " bytes");
  *out = text;
  return absl::OkStatus();
}

void ToProto(const BrokerInfo& in, pb::Broker* out) {
  out->set_node(in.node.value());
  out->set_directory_id(BytesOf(in.directory));
  out->set_client_address(in.client_address);
  out->set_peer_address(in.peer_address);
}

absl::StatusOr<BrokerInfo> FromProto(const pb::Broker& in) {
  BrokerInfo out;
  if (in.node() == 0) return MakeError(Reason::INVALID_REQUEST, "broker.node is missing");
  out.node = NodeId(in.node());
  VARVE_RETURN_IF_ERROR(ReadId(in.directory_id(), "broker.directory_id", &out.directory));
  VARVE_RETURN_IF_ERROR(
      ReadAddress(in.client_address(), "broker.client_address", &out.client_address));
  VARVE_RETURN_IF_ERROR(ReadAddress(in.peer_address(), "broker.peer_address", &out.peer_address));
  return out;
}

template <class Brokers>
absl::Status ReadBrokers(const Brokers& in, std::vector<BrokerInfo>* out) {
  if (in.size() > kMaxPeerBrokers)
    return MakeError(Reason::INVALID_REQUEST, "brokers has ", in.size(), " items, at most ",
                     kMaxPeerBrokers, " are allowed");
  out->reserve(static_cast<size_t>(in.size()));
  for (const pb::Broker& broker : in) {
    VARVE_ASSIGN_OR_RETURN(BrokerInfo read, FromProto(broker));
    out->push_back(std::move(read));
  }
  return absl::OkStatus();
}

Reason ReasonFor(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
      return Reason::UNAVAILABLE;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Reason::DEADLINE_EXCEEDED;
    case grpc::StatusCode::CANCELLED:
      return Reason::CANCELLED;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Reason::OVERLOADED;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Reason::UNSUPPORTED_FEATURE;
    default:
      return Reason::INTERNAL;
  }
}

}  // namespace

void ToProto(const HelloRequest& in, pb::HelloRequest* out) {
  out->set_node(in.node.value());
  out->set_cluster_id(BytesOf(in.cluster));
}

absl::StatusOr<HelloRequest> FromProto(const pb::HelloRequest& in) {
  HelloRequest out;
  out.node = NodeId(in.node());
  VARVE_RETURN_IF_ERROR(ReadId(in.cluster_id(), "cluster_id", &out.cluster));
  return out;
}

void ToProto(const HelloReply& in, pb::HelloReply* out) {
  out->set_node(in.node.value());
  out->set_cluster_id(BytesOf(in.cluster));
  out->set_directory_id(BytesOf(in.directory));
  out->set_process_epoch(in.process_epoch);
  out->set_directory_empty(in.directory_empty);
  out->set_controller_node(in.controller.value());
  for (const BrokerInfo& broker : in.brokers) ToProto(broker, out->add_brokers());
}

absl::StatusOr<HelloReply> FromProto(const pb::HelloReply& in) {
  HelloReply out;
  out.node = NodeId(in.node());
  VARVE_RETURN_IF_ERROR(ReadId(in.cluster_id(), "cluster_id", &out.cluster));
  VARVE_RETURN_IF_ERROR(ReadId(in.directory_id(), "directory_id", &out.directory));
  out.process_epoch = in.process_epoch();
  out.directory_empty = in.directory_empty();
  out.controller = NodeId(in.controller_node());
  VARVE_RETURN_IF_ERROR(ReadBrokers(in.brokers(), &out.brokers));
  return out;
}

void ToProto(const JoinRequest& in, pb::JoinRequest* out) {
  ToProto(in.broker, out->mutable_broker());
}

absl::StatusOr<JoinRequest> FromProto(const pb::JoinRequest& in) {
  JoinRequest out;
  VARVE_ASSIGN_OR_RETURN(out.broker, FromProto(in.broker()));
  return out;
}

void ToProto(const JoinReply& in, pb::JoinReply* out) {
  out->set_cluster_id(BytesOf(in.cluster));
  out->set_metadata_epoch(in.metadata_epoch.value());
  out->set_recovery_number(in.recovery_number);
  for (const BrokerInfo& broker : in.brokers) ToProto(broker, out->add_brokers());
}

absl::StatusOr<JoinReply> FromProto(const pb::JoinReply& in) {
  JoinReply out;
  VARVE_RETURN_IF_ERROR(ReadId(in.cluster_id(), "cluster_id", &out.cluster));
  out.metadata_epoch = ReplicaEpoch(in.metadata_epoch());
  out.recovery_number = in.recovery_number();
  VARVE_RETURN_IF_ERROR(ReadBrokers(in.brokers(), &out.brokers));
  return out;
}

void ToProto(const ReportRequest& in, pb::ReportRequest* out) {
  for (const ReplicaReport& report : in.reports) {
    pb::ReplicaReport* to = out->add_reports();
    to->set_kind(static_cast<pb::ReplicaReport::Kind>(report.kind));
    to->set_group_id(report.group.value());
    for (const ReplicaId& replica : report.replicas) {
      pb::Replica* written = to->add_replicas();
      written->set_node(replica.node.value());
      written->set_epoch(replica.epoch.value());
    }
  }
}

absl::StatusOr<ReportRequest> FromProto(const pb::ReportRequest& in) {
  if (in.reports_size() > kMaxPeerReports)
    return MakeError(Reason::INVALID_REQUEST, "reports has ", in.reports_size(), " items, at most ",
                     kMaxPeerReports, " are allowed");
  ReportRequest out;
  out.reports.reserve(static_cast<size_t>(in.reports_size()));
  for (const pb::ReplicaReport& report : in.reports()) {
    if (report.kind() < pb::ReplicaReport::KIND_GOAL_REACHED ||
        report.kind() > pb::ReplicaReport::KIND_REMOVED)
      return MakeError(Reason::INVALID_REQUEST, "reports.kind is ", static_cast<int>(report.kind()),
                       ", which is none that this broker knows");
    if (report.replicas_size() < 1 || report.replicas_size() > kMaxReportedReplicas)
      return MakeError(Reason::INVALID_REQUEST, "reports.replicas has ", report.replicas_size(),
                       " items; it must have 1 to ", kMaxReportedReplicas);
    if (report.group_id() == 0)
      return MakeError(Reason::INVALID_REQUEST, "a report's group_id must be given");
    ReplicaReport& read = out.reports.emplace_back();
    read.kind = static_cast<ReplicaReport::Kind>(report.kind());
    read.group = GroupId(report.group_id());
    for (const pb::Replica& replica : report.replicas()) {
      if (replica.node() == 0 || replica.epoch() == 0)
        return MakeError(Reason::INVALID_REQUEST,
                         "a reported replica's node and epoch must be given");
      read.replicas.push_back({NodeId(replica.node()), ReplicaEpoch(replica.epoch())});
    }
  }
  return out;
}

void ToProto(const ReportReply& /*in*/, pb::ReportReply* /*out*/) {}
absl::StatusOr<ReportReply> FromProto(const pb::ReportReply& /*in*/) { return ReportReply{}; }

void ToProto(const TransferRequest& in, pb::TransferRequest* out) {
  out->set_group_id(in.group.value());
  out->set_to_node(in.to.value());
}

absl::StatusOr<TransferRequest> FromProto(const pb::TransferRequest& in) {
  if (in.group_id() == 0 || in.to_node() == 0)
    return MakeError(Reason::INVALID_REQUEST, "group_id and to_node must be given");
  return TransferRequest{GroupId(in.group_id()), NodeId(in.to_node())};
}

void ToProto(const TransferReply& /*in*/, pb::TransferReply* /*out*/) {}
absl::StatusOr<TransferReply> FromProto(const pb::TransferReply& /*in*/) { return TransferReply{}; }

grpc::Status ToPeerGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const ErrorInfo& info = InfoOf(ReasonOf(status));
  pb::ErrorInfo details;
  details.set_reason(std::string(info.name));
  details.set_domain("varve");
  auto& metadata = *details.mutable_metadata();
  metadata[kOutcome] = std::string(NameOf(info.outcome));
  metadata[kRetryable] = info.retryable ? "true" : "false";
  for (const auto& [name, value] : ErrorDetails(status)) metadata[name] = value;
  pb::Status encoded;
  encoded.set_code(static_cast<int>(status.code()));
  encoded.set_message(std::string(MessageOf(status)));
  auto* any = encoded.add_details();
  any->set_type_url(kErrorInfoUrl);
  any->set_value(details.SerializeAsString());
  return {static_cast<grpc::StatusCode>(encoded.code()), encoded.message(),
          encoded.SerializeAsString()};
}

absl::Status FromPeerGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  Reason reason = ReasonFor(status.error_code());
  pb::Status encoded;
  pb::ErrorInfo details;
  if (!status.error_details().empty() && encoded.ParseFromString(status.error_details()) &&
      encoded.details_size() == 1 && encoded.details(0).type_url() == kErrorInfoUrl &&
      details.ParseFromString(encoded.details(0).value()))
    reason = ReasonNamed(details.reason());
  absl::Status out = MakeError(reason, status.error_message());
  for (const auto& [name, value] : details.metadata())
    if (name != kOutcome && name != kRetryable) SetErrorDetail(name, value, &out);
  return out;
}

}  // namespace varve::server
