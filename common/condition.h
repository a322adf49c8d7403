// Conditions: the closed list of what can be wrong or stuck in a cluster. Brokers state them, with
// cause and age; 'varve doctor' shows them.
#ifndef VARVE_COMMON_CONDITION_H_
#define VARVE_COMMON_CONDITION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace varve {

// In the order in which they are shown.
enum class ConditionCode : uint8_t {
#define VARVE_CONDITION(name, ...) name,
#include "common/condition_table.inc"
#undef VARVE_CONDITION
};

enum class Severity : uint8_t {
  kCritical,  // something does not work
  kWarning,   // less is left than wanted
};

struct ConditionInfo {
  ConditionCode code;
  std::string_view name;  // "under_replicated"; never changes
  Severity severity;
  std::string_view meaning;
  std::string_view advice;  // what to do next
};

const ConditionInfo& InfoOf(ConditionCode code);
std::span<const ConditionInfo> AllConditions();
std::optional<ConditionCode> ConditionNamed(std::string_view name);
// "critical" or "warning".
std::string_view NameOf(Severity severity);

}  // namespace varve

#endif  // VARVE_COMMON_CONDITION_H_
