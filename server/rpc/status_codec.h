// Errors on the gRPC wire: google.rpc.Status in spirit and in bytes (varve/v1/error.proto).
#ifndef VARVE_SERVER_RPC_STATUS_CODEC_H_
#define VARVE_SERVER_RPC_STATUS_CODEC_H_

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"
#include "common/error.h"
#include "varve/v1/error.pb.h"

namespace varve::server {

// "NOT_APPLIED", "APPLIED", "UNKNOWN"
std::string_view NameOf(Outcome outcome);
// Code, text and one ErrorInfo with reason, outcome, retryable and advice. An OK status gives an
// empty one.
void EncodeStatus(const absl::Status& status, varve::v1::Status* out);
// The same as the status of a whole call, the details in the trailer.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_STATUS_CODEC_H_
