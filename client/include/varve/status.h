// Status and Result: how every call of the client library reports success or failure.
//
// Values; thread-safe like any value. The library throws no exceptions of its own.
#ifndef VARVE_STATUS_H_
#define VARVE_STATUS_H_

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "varve/api.h"

namespace varve {
inline namespace v0 {

// Whether a failed request took effect. A retry after kUnknown may do the same thing twice.
enum class RequestOutcome { kNotApplied, kApplied, kUnknown };

// What a Status is made of.
struct StatusParts {
  std::string reason;   // "UNKNOWN_TOPIC": a row of docs/errors.md, stable, for programs
  std::string message;  // what and why, for people
  std::string advice;   // what to do about it
  bool retryable = false;
  RequestOutcome outcome = RequestOutcome::kUnknown;
  // What else the broker said: "topic", "partition", "leader_address", "log_start", "log_end", ...
  std::vector<std::pair<std::string, std::string>> details;
};

// Success, or a reason with its explanation. Cheap to copy.
class VARVE_API Status {
 public:
  Status() = default;  // success
  explicit Status(StatusParts parts);

  [[nodiscard]] bool ok() const { return parts_ == nullptr; }
  // Empty on success.
  [[nodiscard]] std::string_view reason() const;
  [[nodiscard]] std::string_view message() const;
  [[nodiscard]] std::string_view advice() const;
  // Whether the same request may succeed later. False on success.
  [[nodiscard]] bool retryable() const;
  // kApplied on success.
  [[nodiscard]] RequestOutcome outcome() const;
  // The detail of that name; empty when there is none.
  [[nodiscard]] std::string_view Detail(std::string_view name) const;
  // "OK", or "REASON: message (advice)".
  [[nodiscard]] std::string ToString() const;

 private:
  std::shared_ptr<const StatusParts> parts_;
};

// A value, or why there is none.
template <class T>
class Result {
 public:
  Result(T value) : state_(std::in_place_index<1>, std::move(value)) {}        // NOLINT: converts
  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {  // NOLINT: converts
    if (std::get<0>(state_).ok()) Die("a Result without value needs an error");
  }

  [[nodiscard]] bool ok() const { return state_.index() == 1; }
  [[nodiscard]] Status status() const { return ok() ? Status() : std::get<0>(state_); }
  // Precondition: ok(). Prints the error and aborts otherwise.
  T& value() & { return *Checked(); }
  const T& value() const& { return *const_cast<Result*>(this)->Checked(); }
  T&& value() && { return std::move(*Checked()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  [[noreturn]] static void Die(const char* what) {
    std::fprintf(stderr, "varve::Result: %s\n", what);
    std::abort();
  }
  T* Checked() {
    if (!ok()) Die(std::get<0>(state_).ToString().c_str());
    return &std::get<1>(state_);
  }
  std::variant<Status, T> state_;
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_STATUS_H_
