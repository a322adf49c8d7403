#include "raft/core/core.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace varve::raft {

bool Effects::empty() const {
  return disk.empty() && results.empty() && !committed && !role_change && !leadership_confirmed;
}

Core::Core(CoreOptions options, CoreState state)
    : options_(options),
      hard_state_(state.hard_state),
      end_(state.end),
      commit_index_(state.commit_index),
      high_watermark_(state.commit_index == state.end.last_index ? state.end.next_offset
                                                                 : state.start.offset),
      durable_index_(state.end.last_index),
      configurations_(std::move(state.configurations)) {
  VARVE_CHECK(commit_index_ <= end_.last_index, "group ", options_.group, ": commit index ",
              commit_index_, " beyond the last entry ", end_.last_index);
  VARVE_CHECK(end_.last_term <= hard_state_.term, "group ", options_.group, ": entry of term ",
              end_.last_term, " in term ", hard_state_.term);
  if (configurations_.uncommitted && configurations_.uncommitted->index <= commit_index_) {
    configurations_.committed = *std::exchange(configurations_.uncommitted, std::nullopt);
  }
}

void Core::Step(Input input) {
  if (halted_) {
    if (const auto* propose = std::get_if<Propose>(&input)) {
      effects_.results.push_back({propose->id, ProposalRefused{*halted_}});
    }
    return;
  }
  if (const auto* tick = std::get_if<Tick>(&input)) return On(*tick);
  if (auto* propose = std::get_if<Propose>(&input)) return On(std::move(*propose));
  if (const auto* done = std::get_if<DiskDone>(&input)) return On(*done);
  Halt(std::holds_alternative<DiskFailed>(input) ? Reason::DISK_FAILED : Reason::SHUTTING_DOWN);
}

Effects Core::TakeEffects() {
  for (DiskOperation& operation : effects_.disk) {
    operation.write.commit_index = commit_index_;
    OutstandingWrite& outstanding = outstanding_.emplace_back();
    outstanding.sequence = operation.sequence;
    outstanding.term = operation.term;
    outstanding.hard_state = operation.write.hard_state.has_value();
    if (!operation.write.entries.empty()) {
      outstanding.last_index = operation.write.entries.back().header.last_index;
    }
  }
  return std::exchange(effects_, {});
}

}  // namespace varve::raft
