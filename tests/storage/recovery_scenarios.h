// For each row of the recovery tables that no crash or fault of the campaign is sure to reach: what
// happens to a directory that leads there.
#ifndef VARVE_TESTS_STORAGE_RECOVERY_SCENARIOS_H_
#define VARVE_TESTS_STORAGE_RECOVERY_SCENARIOS_H_

#include <vector>

#include "tests/storage/recovery_stage.h"

namespace varve::storage {

struct RecoveryScenario {
  RecoveryRow row;
  // Leaves a directory for Open. The log must then show everything acknowledged, unless the row
  // refuses, or the row `after` does.
  void (*prepare)(RecoveryStage& stage);
  std::optional<RecoveryRow> after = std::nullopt;
};

std::vector<RecoveryScenario> JournalScenarios();  // directory and journal
std::vector<RecoveryScenario> FileScenarios();     // redo, segments, names

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_RECOVERY_SCENARIOS_H_
