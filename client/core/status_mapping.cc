#include "client/core/status_mapping.h"

#include <algorithm>

#include "client_wire/error.pb.h"

namespace varve::client {
namespace {

RequestOutcome OutcomeOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::NOT_APPLIED:
      return RequestOutcome::kNotApplied;
    case Outcome::APPLIED:
      return RequestOutcome::kApplied;
    case Outcome::UNKNOWN:
      break;
  }
  return RequestOutcome::kUnknown;
}

StatusParts PartsOf(Reason reason, std::string text) {
  const ErrorInfo& row = InfoOf(reason);
  StatusParts parts;
  parts.reason = row.name;
  parts.message = std::move(text);
  parts.advice = row.advice;
  parts.retryable = row.retryable;
  parts.outcome = OutcomeOf(row.outcome);
  return parts;
}

StatusParts Copy(const Status& status) {
  StatusParts parts;
  parts.reason = status.reason();
  parts.message = status.message();
  parts.advice = status.advice();
  parts.retryable = status.retryable();
  parts.outcome = status.outcome();
  for (const char* name : {"topic", "partition", "leader_node", "leader_address", "log_start",
                           "log_end", "retry_after_ms"}) {
    if (const std::string_view value = status.Detail(name); !value.empty()) {
      parts.details.emplace_back(name, value);
    }
  }
  return parts;
}

// For errors of gRPC itself and of proxies, which carry no reason.
Reason ReasonOfCode(int code) {
  switch (static_cast<absl::StatusCode>(code)) {
    case absl::StatusCode::kCancelled:
      return Reason::CANCELLED;
    case absl::StatusCode::kInvalidArgument:
      return Reason::INVALID_REQUEST;
    case absl::StatusCode::kDeadlineExceeded:
      return Reason::DEADLINE_EXCEEDED;
    case absl::StatusCode::kPermissionDenied:
      return Reason::PERMISSION_DENIED;
    case absl::StatusCode::kUnauthenticated:
      return Reason::UNAUTHENTICATED;
    case absl::StatusCode::kResourceExhausted:
      return Reason::REQUEST_TOO_LARGE;
    case absl::StatusCode::kUnimplemented:
      return Reason::UNSUPPORTED_FEATURE;
    case absl::StatusCode::kUnavailable:
      return Reason::UNAVAILABLE;
    default:
      return Reason::INTERNAL;
  }
}

void TakeMetadata(const wire::ErrorInfo& info, StatusParts* parts) {
  for (const auto& [key, value] : info.metadata()) {
    if (key == "outcome") {
      parts->outcome = value == "NOT_APPLIED" ? RequestOutcome::kNotApplied
                       : value == "APPLIED"   ? RequestOutcome::kApplied
                                              : RequestOutcome::kUnknown;
    } else if (key == "retryable") {
      parts->retryable = value == "true";
    } else if (key == "advice") {
      parts->advice = value;
    } else {
      parts->details.emplace_back(key, value);
    }
  }
  std::sort(parts->details.begin(), parts->details.end());
}

}  // namespace

Status ErrorText(Reason reason, std::string text) {
  return Status(PartsOf(reason, std::move(text)));
}

Status WithOutcome(const Status& status, RequestOutcome outcome) {
  StatusParts parts = Copy(status);
  parts.outcome = outcome;
  return Status(std::move(parts));
}

Status WithDetails(const Status& status, std::vector<std::pair<std::string, std::string>> more) {
  StatusParts parts = Copy(status);
  for (auto& detail : more) {
    std::erase_if(parts.details, [&](const auto& old) { return old.first == detail.first; });
    parts.details.push_back(std::move(detail));
  }
  return Status(std::move(parts));
}

Status FromAbsl(const absl::Status& status) {
  if (status.ok()) return {};
  return ErrorText(ReasonOf(status), std::string(MessageOf(status)));
}

Status FromWire(const wire::Status& status) {
  if (status.code() == 0) return {};
  for (const wire::Any& detail : status.details()) {
    wire::ErrorInfo info;
    if (!detail.type_url().ends_with("ErrorInfo") || !info.ParseFromString(detail.value()))
      continue;
    const Reason known = ReasonNamed(info.reason());
    StatusParts parts = PartsOf(known, status.message());
    if (parts.reason != info.reason()) {  // of a newer broker: believe what it says
      parts.reason = info.reason();
      parts.advice.clear();
    }
    TakeMetadata(info, &parts);
    return Status(std::move(parts));
  }
  return ErrorText(ReasonOfCode(status.code()), status.message());
}

Status FromRpc(const RpcStatus& status, std::string_view address) {
  if (status.code == 0) return {};
  wire::Status details;
  if (!status.details.empty() && details.ParseFromString(status.details) && details.code() != 0) {
    return FromWire(details);
  }
  return ErrorText(ReasonOfCode(status.code),
                   StrCat("broker ", address, ": ", std::string_view(status.message)));
}

}  // namespace varve::client
