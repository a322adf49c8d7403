#include "common/error.h"

#include <algorithm>
#include <array>

namespace varve {
namespace {

constexpr std::string_view kReasonUrl = "varve.v1/reason";

constexpr auto kTable = std::to_array<ErrorInfo>({
#define VARVE_ERROR(number, name, phase, outcome, retryable, code, kafka, exit, advice) \
  {Reason::name,                                                                        \
   #name,                                                                               \
   ErrorPhase::phase,                                                                   \
   Outcome::outcome,                                                                    \
   retryable,                                                                           \
   absl::StatusCode::code,                                                              \
   kafka,                                                                               \
   exit,                                                                                \
   advice},
#include "common/error_table.inc"
#undef VARVE_ERROR
});

constexpr bool NumbersAscend() {
  for (size_t i = 1; i < kTable.size(); ++i)
    if (kTable[i - 1].reason >= kTable[i].reason) return false;
  return true;
}
static_assert(NumbersAscend(), "rows of error_table.inc are in order of number");
static_assert(kTable[0].reason == Reason::INTERNAL);

}  // namespace

const ErrorInfo& InfoOf(Reason reason) {
  const auto at = std::lower_bound(kTable.begin(), kTable.end(), reason,
                                   [](const ErrorInfo& row, Reason r) { return row.reason < r; });
  return at != kTable.end() && at->reason == reason ? *at : kTable[0];
}

std::span<const ErrorInfo> AllErrors() { return kTable; }

Reason ReasonNamed(std::string_view name) {
  for (const ErrorInfo& row : kTable)
    if (row.name == name) return row.reason;
  return Reason::INTERNAL;
}

absl::Status MakeErrorText(Reason reason, std::string_view text) {
  const ErrorInfo& info = InfoOf(reason);
  absl::Status status(info.code, ToAbsl(text));
  status.SetPayload(ToAbsl(kReasonUrl), absl::Cord(ToAbsl(info.name)));
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  if (status.ok()) return Reason::OK;
  const auto payload = status.GetPayload(ToAbsl(kReasonUrl));
  return payload ? ReasonNamed(std::string(*payload)) : Reason::INTERNAL;
}

absl::Status AddContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { out.SetPayload(url, payload); });
  return out;
}

}  // namespace varve
