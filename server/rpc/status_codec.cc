#include "server/rpc/status_codec.h"

#include <string>

#include "common/error_detail.h"

namespace varve::server {

std::string_view NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::NOT_APPLIED:
      return "NOT_APPLIED";
    case Outcome::APPLIED:
      return "APPLIED";
    case Outcome::UNKNOWN:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

void EncodeStatus(const absl::Status& status, varve::v1::Status* out) {
  if (status.ok()) return;
  const ErrorInfo& info = InfoOf(ReasonOf(status));
  out->set_code(static_cast<int>(status.code()));
  out->set_message(std::string(MessageOf(status)));
  varve::v1::ErrorInfo details;
  details.set_reason(std::string(info.name));
  details.set_domain("varve");
  auto& metadata = *details.mutable_metadata();
  metadata["outcome"] = std::string(NameOf(info.outcome));
  metadata["retryable"] = info.retryable ? "true" : "false";
  metadata["advice"] = std::string(info.advice);
  for (const auto& [name, value] : ErrorDetails(status)) metadata[name] = value;
  // The type URL of the standard message, which has the same fields: any gRPC tool decodes it.
  auto* any = out->add_details();
  any->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  any->set_value(details.SerializeAsString());
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  varve::v1::Status encoded;
  EncodeStatus(status, &encoded);
  return {static_cast<grpc::StatusCode>(encoded.code()), encoded.message(),
          encoded.SerializeAsString()};
}

}  // namespace varve::server
