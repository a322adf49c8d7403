// Names of the core's planted defects, for command lines and tables.
#ifndef VARVE_TESTS_SIM_RAFT_DEFECT_NAMES_H_
#define VARVE_TESTS_SIM_RAFT_DEFECT_NAMES_H_

#include <array>
#include <optional>
#include <string_view>

#include "raft/core/defect.h"

namespace varve::raftsim {

using raft::Defect;
using raft::kDefects;

// How often each guard was asked, planted or not.
using DefectSites = std::array<uint64_t, kDefects>;

// "vote-not-persisted"
std::string_view NameOf(Defect defect);
// Why no run of the simulator can tell it from a right core; empty when one can. A test that
// docs/raft_traps.md names finds those.
std::string_view WhyOutOfReach(Defect defect);
std::optional<Defect> DefectNamed(std::string_view name);

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_DEFECT_NAMES_H_
