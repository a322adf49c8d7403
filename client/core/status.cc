#include "varve/status.h"

namespace varve {
inline namespace v0 {

Status::Status(StatusParts parts) : parts_(std::make_shared<const StatusParts>(std::move(parts))) {}

std::string_view Status::reason() const { return ok() ? std::string_view() : parts_->reason; }
std::string_view Status::message() const { return ok() ? std::string_view() : parts_->message; }
std::string_view Status::advice() const { return ok() ? std::string_view() : parts_->advice; }
bool Status::retryable() const { return !ok() && parts_->retryable; }
RequestOutcome Status::outcome() const { return ok() ? RequestOutcome::kApplied : parts_->outcome; }

std::string_view Status::Detail(std::string_view name) const {
  if (ok()) return {};
  for (const auto& [key, value] : parts_->details) {
    if (key == name) return value;
  }
  return {};
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  std::string out = parts_->reason + ": " + parts_->message;
  if (!parts_->advice.empty()) out += " (" + parts_->advice + ")";
  return out;
}

}  // namespace v0
}  // namespace varve
