// Events, steps, disks and phases.
#include "tests/sim/raft/world.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/check.h"
#include "common/sim/trace_hash.h"

namespace varve::raftsim {
namespace {

constexpr SimTime kTick = 100 * kMillis;
constexpr SimTime kMendSpan = 8 * kSeconds;    // elections, repair of the membership
constexpr SimTime kDemandSpan = 6 * kSeconds;  // progress is demanded
constexpr SimTime kSettleSpan = 4 * kSeconds;  // the last proposals
constexpr SimTime kIdleSpan = 4 * kSeconds;    // nothing may happen
constexpr uint64_t kDemandedPerMinute = 100;
constexpr size_t kStoryLines = 60;
constexpr std::string_view kRoleNames[] = {"follower", "pre-candidate", "candidate", "leader"};

struct BrokenInvariant : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void ThrowBrokenInvariant(const std::string& message) { throw BrokenInvariant(message); }

}  // namespace

World::World(const SimOptions& options, ReplicaFactory factory)
    : options_(options),
      factory_(std::move(factory)),
      random_(SeededRandom(options.seed)),
      network_(options_, random_.get(), &result_.faults),
      nodes_(options.nodes) {
  checkers_ = AllCheckers(*this, &ledger_);
  Configuration configuration;
  for (uint32_t i = 0; i < options.voters; ++i) {
    configuration.voters.push_back({NodeId{i + 1}, ReplicaEpoch{1}});
  }
  SimEntry first;
  first.index = Index{1};
  first.term = Term{1};
  first.kind = EntryKind::kConfig;
  first.configuration = std::make_shared<const Configuration>(std::move(configuration));
  LogImage founded;
  founded.Append(first);
  founded.hard_state.term = Term{1};
  founded.commit = Index{1};
  ledger_.entries.push_back({founded.entries.front(), Term{1}});
  for (uint32_t i = 0; i < options.nodes; ++i) {
    nodes_[i].id = {NodeId{i + 1}, ReplicaEpoch{1}};
    if (i < options.voters) nodes_[i].durable = founded;
    Start(nodes_[i]);
    Add(random_->Below(kTick), Kind::kTick, i);
  }
  Add(options.between_faults, Kind::kFault, 0);
  Add(2 * kSeconds, Kind::kPropose, 0);
  Add(2 * kSeconds, Kind::kOperate, 0);
}

// An invariant that the core itself checks is one more checker.
RunResult World::Run() {
  internal::check_failed_hook = &ThrowBrokenInvariant;
  RunResult result = RunPhases();
  internal::check_failed_hook = nullptr;
  return result;
}

RunResult World::RunPhases() {
  RunUntil(options_.fault_span);
  committed_before_healing_ = ledger_.last();
  HealAll();
  RunUntil(now_ + kMendSpan);
  const uint64_t before = ledger_.last().value();
  RunUntil(now_ + kDemandSpan);
  result_.committed_after_healing = ledger_.last().value() - before;
  quiet_ = true;
  RunUntil(now_ + kSettleSpan);
  if (result_.violation.empty()) Finish();
  result_.simulated = now_;
  result_.committed = ledger_.last().value();
  result_.hash = MixHash(result_.hash, ledger_.entries.back().entry.chain);
  for (const std::string& line : story_) result_.story += line + "\n";
  return std::move(result_);
}

void World::Finish() {
  idle_ = true;
  std::vector<Term> terms;
  for (const Node& node : nodes_) terms.push_back(node.state.term);
  RunUntil(now_ + kIdleSpan);
  if (!result_.violation.empty()) return;
  result_.leaderless = healed_commit_.value_or(now_) - options_.fault_span;
  Ending ending;
  ending.leaderless_ms = result_.leaderless / kMillis;
  ending.healed = true;
  ending.committed_after_healing = result_.committed_after_healing;
  ending.demanded_after_healing = kDemandSpan * kDemandedPerMinute / (60 * kSeconds);
  ending.unresolved = unanswered_.size();
  ending.idle_other_messages = idle_other_;
  ending.idle_other_type = NameOf(idle_other_type_);
  Node* leader = Leader();
  ending.converged = leader != nullptr;
  for (const Node& node : nodes_) {
    ending.leaders += node.state.role == Role::kLeader ? 1 : 0;
    ending.at_rest.push_back(node.state);
    if (!IsMember(node.id)) continue;
    ending.idle_terms_fixed = ending.idle_terms_fixed && node.state.term == terms[Number(node)];
    if (node.state.commit == ledger_.last() && node.durable.last_index() == ledger_.last())
      continue;
    ending.converged = false;
    ending.differences += StrCat(" ", Show(node.id), " holds ", node.durable.last_index(),
                                 " and shows ", node.state.commit, " of ", ledger_.last(), ";");
  }
  for (const auto& checker : checkers_) checker->AtEnd(ending);
  Judge();
}

void World::Add(SimTime at, Kind kind, uint32_t node, std::shared_ptr<const Packet> packet) {
  events_.push({at, ++last_order_, kind, node, nodes_[node].life, std::move(packet)});
}

void World::RunUntil(SimTime end) {
  while (result_.violation.empty() && events_.top().at <= end) {
    Event event = events_.top();
    events_.pop();
    now_ = event.at;
    Node& node = nodes_[event.node];
    const bool outside = event.kind == Kind::kFault || event.kind == Kind::kPropose ||
                         event.kind == Kind::kOperate || event.kind == Kind::kMend;
    if (!outside && node.paused_until > now_) {
      event.at = node.paused_until;
      events_.push(std::move(event));
      continue;
    }
    ++result_.steps;
    result_.hash = MixHash(result_.hash, now_);
    result_.hash = MixHash(result_.hash, (static_cast<uint64_t>(event.kind) << 8) | event.node);
    Handle(event);
  }
  if (result_.violation.empty()) now_ = end;
}

void World::Handle(const Event& event) {
  Node& node = nodes_[event.node];
  switch (event.kind) {
    case Kind::kTick:
      Add(now_ + kTick, Kind::kTick, event.node);
      if (node.replica) StepNode(node, [](Replica& r) { r.Tick(); });
      return;
    case Kind::kDeliver:
      if (!node.replica) return;
      ++result_.delivered[static_cast<size_t>(event.packet->type)];
      Tell(now_, " ", NameOf(event.packet->type), " ", Show(event.packet->from), " to ",
           Show(event.packet->to), " term ", event.packet->term, " previous ",
           event.packet->previous, " entries ", event.packet->entries, " commit ",
           event.packet->commit, " acknowledged ", event.packet->acknowledged,
           event.packet->reject ? " rejected" : "");
      receiving_ = event.packet;
      StepNode(node, [&](Replica& r) { r.Receive(*event.packet); });
      receiving_.reset();
      return;
    case Kind::kDisk:
      if (event.life == node.life && node.replica && !node.disk_failed) FinishSync(node);
      return;
    case Kind::kRestart:
      if (!node.replica) Start(node);
      return;
    case Kind::kFault:
      return MakeFault();
    case Kind::kPropose:
      return ProposeSome();
    case Kind::kOperate:
      return Operate();
    case Kind::kDiskMend:
      if (event.life == node.life && node.replica) MendDisk(node);
      return;
    case Kind::kMend:
      network_.Heal();
      Tell(now_, " the network heals");
      return;
  }
}

ReplicaView World::ViewOf(const Node& node) const {
  return {node.id, &node.written, &node.durable, node.disk_failed, node.disk_slow};
}

void World::StepNode(Node& node, absl::FunctionRef<void(Replica&)> call) {
  ReplicaState before = node.state;
  Outbox out;
  try {
    call(*node.replica);
    out = node.replica->TakeEffects();
  } catch (const BrokenInvariant& broken) {
    result_.violation = StrCat("core: ", Show(node.id), " ", broken.what());
    return;
  }
  node.state = node.replica->state();
  if (before.role != node.state.role) {
    ++result_.roles[static_cast<size_t>(node.state.role)];
    Tell(now_, " ", Show(node.id), " is ", kRoleNames[static_cast<size_t>(node.state.role)],
         " in term ", node.state.term);
  }
  for (const DiskWrite& write : out.disk) {
    for (const auto& checker : checkers_) {
      checker->OnWrite(ViewOf(node), before, node.state, write);
    }
    Tell(now_, " ", Show(node.id), " writes ", write.entries.size(), " entries to ",
         write.entries.empty() ? Index{} : write.entries.back().index,
         write.truncate_from ? " truncating" : "", write.install ? " installing" : "",
         write.trim_to ? " trimming" : "", write.hard_state ? " vote and term" : "");
    Judge();
    // A log with a hole cannot be simulated further.
    if (!result_.violation.empty()) return;
    WriteTo(node, write);
  }
  const Step step{ViewOf(node), std::move(before), node.state, &out, receiving_};
  for (const auto& checker : checkers_) checker->OnStep(step);
  Judge();
  if (healing_ && !healed_commit_ && ledger_.last() > committed_before_healing_) {
    healed_commit_ = now_;
  }
  result_.hash = MixHash(result_.hash, node.state.term.value());
  result_.hash = MixHash(result_.hash, node.state.commit.value());
  result_.hash = MixHash(result_.hash, node.state.last.value());
  if (result_.violation.empty()) Carry(node, std::move(out));
}

void World::Judge() {
  for (const auto& checker : checkers_) {
    if (!result_.violation.empty()) return;
    result_.violation = checker->violation();
  }
}

void World::Carry(Node& node, Outbox out) {
  for (Packet& message : out.messages) {
    const bool heartbeat =
        message.type == MessageType::kHeartbeat || message.type == MessageType::kHeartbeatReply;
    // Those that left the group without hearing of it may knock as long as they like.
    if (idle_ && !heartbeat && IsMember(message.from) && IsMember(message.to)) {
      ++idle_other_;
      idle_other_type_ = message.type;
    }
    const uint32_t to = message.to.node.value() - 1;
    const auto packet = std::make_shared<const Packet>(std::move(message));
    for (const SimTime at : network_.Send(now_, Number(node), to, packet->type)) {
      Add(at, Kind::kDeliver, to, packet);
    }
  }
  for (const Result& result : out.results) Answer(result);
  for (const ReadResult& read : out.reads) result_.reads += read.index ? 1 : 0;
}

void World::Answer(const Result& result) {
  unanswered_.erase(result.proposal);
  result_.hash = MixHash(result_.hash, result.proposal * 4 + static_cast<uint64_t>(result.outcome));
}

void World::WriteTo(Node& node, DiskWrite write) {
  node.written.Apply(write);
  node.pending.push_back(std::move(write));
  if (node.syncing == 0) StartSync(node);
}

// One sync at a time; it covers what was asked before it began.
void World::StartSync(Node& node) {
  node.syncing = node.pending.size();
  const SimTime begins = std::max(now_, node.stalled_until);
  Add(begins + options_.disk + random_->Below(options_.disk_spread), Kind::kDisk, Number(node));
}

void World::FinishSync(Node& node) {
  for (size_t left = node.syncing; left > 0 && result_.violation.empty(); --left) FinishWrite(node);
  node.syncing = 0;
  if (!node.pending.empty() && result_.violation.empty()) StartSync(node);
}

// The oldest write is durable.
void World::FinishWrite(Node& node) {
  const DiskWrite write = std::move(node.pending.front());
  node.pending.pop_front();
  node.durable.Apply(write);
  if (!node.replica || node.disk_failed) return;
  StepNode(node, [&](Replica& r) { r.DiskDone(write.sequence, write.term); });
}

void World::Start(Node& node) {
  ++node.life;
  node.written = node.durable;
  node.disk_failed = node.disk_slow = false;
  node.stalled_until = now_;
  node.syncing = 0;
  const uint64_t seed = random_->Next();
  try {
    node.replica = factory_(node.id, seed, node.durable);
  } catch (const BrokenInvariant& broken) {
    result_.violation = StrCat("core: ", Show(node.id), " starts and finds ", broken.what());
    return;
  }
  node.state = node.replica->state();
  for (const auto& checker : checkers_) checker->OnStart(ViewOf(node), node.state);
  Judge();
  Tell(now_, " ", Show(node.id), " starts in term ", node.state.term, " with entries to ",
       node.state.last);
}

// Any prefix of what was not yet durable survives.
void World::Crash(Node& node) {
  if (!node.replica) return;
  node.replica.reset();
  Tell(now_, " ", Show(node.id), " crashes with ", node.pending.size(), " writes under way");
  uint64_t kept = random_->Below(node.pending.size() + 1);
  if (kept < node.pending.size()) ++result_.unsynced_lost;
  while (kept-- > 0) FinishWrite(node);
  node.pending.clear();
  node.written = node.durable;
  node.paused_until = 0;
  ++node.life;
  node.state = {};
  if (random_->OneIn(2)) TellOthersOfCrash(node);
  // Its clients see the connection go: unknown.
  std::erase_if(unanswered_, [&](const auto& p) { return p.second.first == Number(node); });
}

// Most nodes notice when the process of another is gone.
void World::TellOthersOfCrash(const Node& gone) {
  for (Node& node : nodes_) {
    if (!result_.violation.empty()) return;
    if (node.replica) StepNode(node, [&](Replica& r) { r.PeerLost(gone.id); });
  }
}

const LogImage* World::DurableOf(ReplicaId replica) const {
  const uint32_t number = replica.node.value() - 1;
  if (number < nodes_.size() && nodes_[number].id == replica) return &nodes_[number].durable;
  const auto wiped = wiped_.find(replica);
  return wiped == wiped_.end() ? nullptr : &wiped->second;
}

void World::AddToStory(std::string line) {
  story_.push_back(std::move(line));
  if (story_.size() > kStoryLines) story_.pop_front();
}

}  // namespace varve::raftsim
