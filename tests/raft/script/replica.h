// A core over a log in memory whose disk operations finish at once, or when the script says so.
#ifndef VARVE_TESTS_RAFT_SCRIPT_REPLICA_H_
#define VARVE_TESTS_RAFT_SCRIPT_REPLICA_H_

#include <deque>
#include <memory>
#include <vector>

#include "raft/core/core.h"
#include "tests/raft/script/snapshot.h"

namespace varve::raft {

class Replica {
 public:
  // A replica with an empty log that starts after `index`, all of it committed.
  Replica(ReplicaId self, Configuration configuration, Index index);

  void Step(Input input);
  // Whether operations wait for Finish. Releasing finishes those that wait.
  void Hold(bool hold);
  // Finishes the oldest `count` operations, or as many as there are.
  void Finish(size_t count);
  // Everything is applied that is committed.
  void Apply() { applied_ = core_->commit_index(); }
  // Starts again with what is durable; the disk holds nothing back any more.
  void Restart();
  // Starts again with a new directory, hence with the next replica epoch.
  void Wipe();
  // Results are those of the last command.
  void ForgetResults() { results_.clear(); }

  [[nodiscard]] NodeSnapshot Snapshot() const;
  [[nodiscard]] const Configuration& configuration() const;

 private:
  void Start();
  void TakeEffects();
  void FinishWhatIsNotHeld();
  void MakeDurable(const LogWrite& write);

  ReplicaId self_;
  const CoreState fresh_;
  CoreState durable_;
  std::unique_ptr<Core> core_;
  std::deque<DiskOperation> disk_;  // not finished, oldest first
  bool held_ = false;
  Index applied_;
  std::vector<ProposalResult> results_;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_REPLICA_H_
