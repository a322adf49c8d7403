// The planted defects of shell, storage join and membership, by name.
#ifndef VARVE_TESTS_SIM_CLUSTER_DEFECTS_H_
#define VARVE_TESTS_SIM_CLUSTER_DEFECTS_H_

#include <span>
#include <string_view>
#include <variant>

#include "raft/shell/shell_defect.h"
#include "server/defect.h"

namespace varve::clustersim {

struct ClusterDefect {
  std::string_view name;  // "acknowledged-when-accepted"
  std::variant<raft::ShellDefect, server::Defect> at;
};

std::span<const ClusterDefect> ClusterDefects();
// Null when there is none of this name.
const ClusterDefect* DefectNamed(std::string_view name);

// Every broker of the process is wrong in this way while it lives; one at a time.
class PlantedDefect final {
 public:
  explicit PlantedDefect(const ClusterDefect& defect);
  PlantedDefect(const PlantedDefect&) = delete;
  PlantedDefect& operator=(const PlantedDefect&) = delete;
  ~PlantedDefect();
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_DEFECTS_H_
