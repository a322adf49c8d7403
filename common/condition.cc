#include "common/condition.h"

#include <array>

namespace varve {
namespace {

using enum Severity;

constexpr auto kConditions = std::to_array<ConditionInfo>({
#define VARVE_CONDITION(code, name, severity, meaning, advice) \
  {ConditionCode::code, name, severity, meaning, advice},
#include "common/condition_table.inc"
#undef VARVE_CONDITION
});

}  // namespace

const ConditionInfo& InfoOf(ConditionCode code) { return kConditions[static_cast<size_t>(code)]; }
std::span<const ConditionInfo> AllConditions() { return kConditions; }

std::optional<ConditionCode> ConditionNamed(std::string_view name) {
  for (const ConditionInfo& info : kConditions)
    if (info.name == name) return info.code;
  return std::nullopt;
}

std::string_view NameOf(Severity severity) {
  return severity == kCritical ? "critical" : "warning";
}

}  // namespace varve
