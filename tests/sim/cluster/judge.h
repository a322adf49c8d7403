// Judge: what a cluster must come back to when its faults are over, and what its logs must hold.
#ifndef VARVE_TESTS_SIM_CLUSTER_JUDGE_H_
#define VARVE_TESTS_SIM_CLUSTER_JUDGE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/cluster/checker.h"
#include "tests/sim/cluster/storm.h"

namespace varve::clustersim {

// Driven from outside events.
class Judge {
 public:
  Judge(World& world, Storm& storm, Checker& checker)
      : world_(world), storm_(storm), checker_(checker) {}
  // Everybody serves, every replica has everything, everybody knows who leads; false, and a
  // violation, when that takes more than `limit` of simulated time.
  bool AwaitSettled(Nanos limit);
  // While nothing happens nobody is elected.
  void CheckCalm();
  // Without one broker every partition takes a write, soon enough.
  void CheckSurvives(size_t without);
  // Reads the whole log of every replica.
  void CompareLogs();

 private:
  struct Replica {
    size_t node = 0;
    Index commit, end, foldable, start;
    Term term;
    NodeId leader;
    bool serves = false, suspect = false;
  };
  using Replicas = std::map<GroupId, std::vector<Replica>>;
  Replicas Gather();
  // Replicas that there ought to be, by the placements of the topics.
  std::map<GroupId, std::vector<size_t>> Expected();
  // Empty, or what is not yet as it should be.
  std::string Unsettled();
  std::string Unbalanced();
  std::string UnsettledGroup(GroupId group, const std::vector<size_t>& expected,
                             const std::vector<Replica>& found);
  void ReadLog(size_t node, GroupId group, const std::optional<Place>& place);
  void ShowBatch(const Place& place, const Entry& entry);

  World& world_;
  Storm& storm_;
  Checker& checker_;
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_JUDGE_H_
