#include "tests/raft/script/replica.h"

#include <algorithm>
#include <utility>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

CoreState FreshStateAfter(Configuration configuration, Index index) {
  CoreState state;
  const Term term{index > Index{0} ? 1U : 0U};
  state.hard_state.term = term;
  state.start = {index + 1, Offset{0}, term};
  state.end = {index, term, Offset{0}, WallTime{0}};
  state.commit_index = index;
  state.configurations.committed = {Index{0}, std::move(configuration)};
  return state;
}

}  // namespace

Replica::Replica(ReplicaId self, Configuration configuration, Index index)
    : self_(self),
      fresh_(FreshStateAfter(std::move(configuration), index)),
      durable_(fresh_),
      applied_(index) {
  Start();
}

void Replica::Start() {
  CoreOptions options;
  options.group = GroupId{70'000};
  options.self = self_;
  options.max_uncommitted_bytes = size_t{1} << 20;
  core_ = std::make_unique<Core>(options, durable_);
}

void Replica::Step(Input input) {
  core_->Step(std::move(input));
  TakeEffects();
  FinishWhatIsNotHeld();
}

void Replica::TakeEffects() {
  Effects effects = core_->TakeEffects();
  for (DiskOperation& operation : effects.disk) disk_.push_back(std::move(operation));
  results_.insert(results_.end(), effects.results.begin(), effects.results.end());
}

void Replica::Hold(bool hold) {
  held_ = hold;
  FinishWhatIsNotHeld();
}

void Replica::FinishWhatIsNotHeld() {
  while (!held_ && !disk_.empty()) Finish(1);
}

void Replica::Finish(size_t count) {
  for (; count > 0 && !disk_.empty(); --count) {
    const DiskOperation operation = std::move(disk_.front());
    disk_.pop_front();
    MakeDurable(operation.write);
    core_->Step(DiskDone{operation.sequence, operation.term});
    TakeEffects();
  }
}

void Replica::MakeDurable(const LogWrite& write) {
  if (write.hard_state) durable_.hard_state = *write.hard_state;
  if (write.configurations) durable_.configurations = *write.configurations;
  for (const Entry& entry : write.entries) AppendTo(entry.header, &durable_);
  durable_.commit_index = std::max(durable_.commit_index, write.commit_index);
}

void Replica::Restart() {
  disk_.clear();
  held_ = false;
  applied_ = durable_.commit_index;
  Start();
}

void Replica::Wipe() {
  self_.epoch = self_.epoch + 1;
  durable_ = fresh_;
  Restart();
}

const Configuration& Replica::configuration() const {
  const Configurations& all = core_->configurations();
  return all.uncommitted ? all.uncommitted->configuration : all.committed.configuration;
}

NodeSnapshot Replica::Snapshot() const {
  return {self_,           core_->role(),          core_->term(),   core_->vote(),
          core_->leader(), core_->commit_index(),  applied_,        durable_.start.index,
          core_->end(),    core_->durable_index(), configuration(), results_};
}

}  // namespace varve::raft
