// varve.internal.v1 and the plain structs of server/service/peer_service.h.
#ifndef VARVE_SERVER_RPC_PEER_CODEC_H_
#define VARVE_SERVER_RPC_PEER_CODEC_H_

#include <grpcpp/support/status.h>

#include "absl/status/statusor.h"
#include "server/service/peer_service.h"
#include "varve/internal/v1/peer.pb.h"

namespace varve::server {

// Brokers in one message, and bytes of an address: more is refused.
inline constexpr int kMaxPeerBrokers = 1000;
inline constexpr size_t kMaxPeerAddressBytes = 300;
// Reports in one message, and replicas in one report.
inline constexpr int kMaxPeerReports = 1000;
inline constexpr int kMaxReportedReplicas = 64;

void ToProto(const HelloRequest& in, internal::v1::HelloRequest* out);
void ToProto(const HelloReply& in, internal::v1::HelloReply* out);
void ToProto(const JoinRequest& in, internal::v1::JoinRequest* out);
void ToProto(const JoinReply& in, internal::v1::JoinReply* out);
void ToProto(const ReportRequest& in, internal::v1::ReportRequest* out);
void ToProto(const ReportReply& in, internal::v1::ReportReply* out);
void ToProto(const TransferRequest& in, internal::v1::TransferRequest* out);
void ToProto(const TransferReply& in, internal::v1::TransferReply* out);
// From another process: INVALID_REQUEST names the field.
absl::StatusOr<HelloRequest> FromProto(const internal::v1::HelloRequest& in);
absl::StatusOr<HelloReply> FromProto(const internal::v1::HelloReply& in);
absl::StatusOr<JoinRequest> FromProto(const internal::v1::JoinRequest& in);
absl::StatusOr<JoinReply> FromProto(const internal::v1::JoinReply& in);
absl::StatusOr<ReportRequest> FromProto(const internal::v1::ReportRequest& in);
absl::StatusOr<ReportReply> FromProto(const internal::v1::ReportReply& in);
absl::StatusOr<TransferRequest> FromProto(const internal::v1::TransferRequest& in);
absl::StatusOr<TransferReply> FromProto(const internal::v1::TransferReply& in);

// A refused call, with reason and details, and what the other side makes of it. What gRPC itself
// says gets a reason by its code: UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED, OVERLOADED,
// UNSUPPORTED_FEATURE, else INTERNAL.
grpc::Status ToPeerGrpcStatus(const absl::Status& status);
absl::Status FromPeerGrpcStatus(const grpc::Status& status);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_CODEC_H_
