// Checker: invariants of the brokers themselves, looked at now and then from within.
#ifndef VARVE_TESTS_SIM_CLUSTER_CHECKER_H_
#define VARVE_TESTS_SIM_CLUSTER_CHECKER_H_

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/entry.h"
#include "tests/sim/cluster/world.h"

namespace varve::clustersim {

// At any time: one leader per term; what two replicas have committed up to one index ends with the
// same term and offset; folds of the metadata with the same position have the same content; a
// replica id belongs to one directory; every broker is of one cluster. Where whole logs are
// compared, also entry by entry.
class Checker {
 public:
  explicit Checker(World& world) : world_(world) {}
  // Posts to every shard that runs.
  void Look();
  // An entry of a replica's log, committed there.
  void Compare(size_t node, const EntryHeader& header, uint32_t payload_crc);
  // The highest term of each group so far.
  [[nodiscard]] std::map<GroupId, Term> Terms() const;
  [[nodiscard]] uint64_t looks() const { return looks_; }
  [[nodiscard]] uint64_t compared() const { return compared_; }
  [[nodiscard]] uint64_t elections() const;

 private:
  struct Committed {
    Term term;
    Offset high_watermark;
    size_t node;
  };
  struct Group {
    std::map<Term, NodeId> leaders;
    std::map<Index, Committed> committed;
    std::map<Index, std::pair<EntryHeader, uint32_t>> entries;
  };
  void LookAt(size_t node, const server::Partition& partition);
  void LookAtBroker(size_t node);
  void LookAtPlacements(size_t node);

  World& world_;
  std::map<GroupId, Group> groups_;
  std::map<Index, uint64_t> folds_;
  std::map<std::tuple<GroupId, NodeId, ReplicaEpoch>, DirectoryId> directories_;
  std::optional<ClusterId> cluster_;
  uint64_t looks_ = 0, compared_ = 0;
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_CHECKER_H_
