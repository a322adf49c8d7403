// CoreReplica: raft/core as the simulator sees it, with what its owner does for it: a log to load
// entries from, files for installs, the log's start.
#ifndef VARVE_TESTS_SIM_RAFT_CORE_REPLICA_H_
#define VARVE_TESTS_SIM_RAFT_CORE_REPLICA_H_

#include <deque>
#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "common/random.h"
#include "raft/core/core.h"
#include "tests/sim/raft/defect_names.h"
#include "tests/sim/raft/options.h"
#include "tests/sim/raft/replica.h"

namespace varve::raftsim {

// Which proposal a configuration entry came from: its bytes do not tell. One for each run.
using ConfigProposals = std::map<std::pair<Index, Term>, uint64_t>;

class CoreReplica final : public Replica {
 public:
  // All of `image` is durable.
  CoreReplica(const SimOptions& options, ReplicaId self, uint64_t seed, const LogImage& image,
              std::shared_ptr<ConfigProposals> proposals);

  void Tick() override;
  void Receive(const Packet& packet) override;
  void Propose(uint64_t proposal) override;
  void ProposeConfiguration(uint64_t proposal, const Configuration& configuration) override;
  void Transfer(ReplicaId target) override;
  void ReadBarrier(uint64_t read) override;
  void DiskDone(uint64_t sequence, Term term) override;
  void DiskFailed() override;
  void DiskSlow(bool slow) override;
  void DiskFull(bool full) override;
  void PeerLost(ReplicaId peer) override;
  void Trim(Index first) override;
  [[nodiscard]] Outbox TakeEffects() override;
  [[nodiscard]] ReplicaState state() const override;

 private:
  // Where the files begin and end: logs that end alike may have been trimmed differently.
  using PointKey = std::tuple<Index, Index, Term>;

  static PointKey KeyOf(const LogImage& image) {
    return {image.start.index, image.last_index(), image.last_term()};
  }
  static PointKey KeyOf(const raft::InstallPoint& point) {
    return {point.start.index, point.end.last_index, point.end.last_term};
  }

  void TakeFromCore();
  void Answer(raft::Effects& effects);
  void AddWrite(const raft::DiskOperation& operation);
  void AddPacket(raft::Message message);
  void AddResult(const raft::ProposalResult& result);
  [[nodiscard]] SimEntry Describe(const Entry& entry) const;
  [[nodiscard]] Entry FrameOf(const SimEntry& entry) const;
  [[nodiscard]] raft::EntriesLoaded Load(const raft::LoadEntries& load) const;
  [[nodiscard]] std::shared_ptr<const LogImage> MakeImage() const;
  // Now or at the next tick: whatever the core asks its owner for takes time.
  void StepSoon(raft::Input input);
  void RefreshState();

  const ReplicaId self_;
  bool trims_;  // also while something is read for the core
  const std::unique_ptr<Random> random_;
  const std::shared_ptr<ConfigProposals> proposals_;
  LogImage log_;  // what the core asked its disk for
  raft::Core core_;
  uint64_t last_sequence_ = 0;
  std::map<uint64_t, raft::DiskSequence> sequences_;  // of the core's operations under way
  std::deque<raft::Input> later_;
  // Files that were offered.
  std::map<PointKey, std::shared_ptr<const LogImage>> images_;
  std::shared_ptr<const Configuration> configuration_;
  std::shared_ptr<const std::vector<EpochStart>> epochs_;
  Outbox out_;
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_CORE_REPLICA_H_
