#include "client/cli/cli_error.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/error.h"

namespace varve::cli {
namespace {

// The details that brokers attach; docs/errors.md says which reason carries which.
constexpr const char* kDetailNames[] = {"topic",     "partition", "leader_address", "leader_node",
                                        "log_start", "log_end",   "high_watermark", "limit"};

std::string_view OutcomeName(RequestOutcome outcome) {
  switch (outcome) {
    case RequestOutcome::kNotApplied:
      return "not_applied";
    case RequestOutcome::kApplied:
      return "applied";
    case RequestOutcome::kUnknown:
      break;
  }
  return "unknown";
}

// An unknown outcome in general, but of this request it is known that nothing was sent: as if no
// broker had answered.
bool NeverSent(const Status& status) {
  const Reason reason = ReasonNamed(status.reason());
  return status.outcome() == RequestOutcome::kNotApplied &&
         (reason == Reason::DEADLINE_EXCEEDED || reason == Reason::OUTCOME_UNKNOWN);
}

std::string_view AdviceOf(const Status& status) {
  return NeverSent(status) ? InfoOf(Reason::UNAVAILABLE).advice : status.advice();
}

bool EndsSentence(std::string_view text) {
  return !text.empty() && (text.back() == '.' || text.back() == '!' || text.back() == '?');
}

}  // namespace

Status UsageError(std::string what, std::string advice) {
  return Status({.reason = "INVALID_REQUEST",
                 .message = std::move(what),
                 .advice = std::move(advice),
                 .retryable = false,
                 .outcome = RequestOutcome::kNotApplied});
}

Status LocalError(std::string what, int error_number, std::string advice) {
  if (error_number != 0) what += std::string(": ") + std::strerror(error_number);
  return Status({.reason = "LOCAL_ERROR",
                 .message = std::move(what),
                 .advice = std::move(advice),
                 .retryable = false,
                 .outcome = RequestOutcome::kNotApplied});
}

int ExitCodeOf(const Status& status) {
  if (status.ok()) return kExitOk;
  if (NeverSent(status)) return InfoOf(Reason::UNAVAILABLE).exit_code;
  return InfoOf(ReasonNamed(status.reason())).exit_code;
}

std::string ErrorText(const Status& status) {
  std::string text = "error: " + std::string(status.message());
  const std::string_view advice = AdviceOf(status);
  if (advice.empty()) return text;
  text += EndsSentence(text) ? " " : ". ";
  text += advice;
  return text;
}

std::string ErrorJson(const Status& status) {
  nlohmann::ordered_json error;
  error["reason"] = std::string(status.reason());
  error["message"] = std::string(status.message());
  error["advice"] = std::string(AdviceOf(status));
  error["retryable"] = status.retryable();
  error["outcome"] = std::string(OutcomeName(status.outcome()));
  nlohmann::ordered_json details = nlohmann::ordered_json::object();
  for (const char* name : kDetailNames) {
    if (const std::string_view value = status.Detail(name); !value.empty())
      details[name] = std::string(value);
  }
  error["details"] = std::move(details);
  nlohmann::ordered_json out;
  out["error"] = std::move(error);
  // A message may quote bytes that somebody sent: replaced rather than thrown over.
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace varve::cli
