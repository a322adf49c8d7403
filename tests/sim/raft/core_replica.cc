#include "tests/sim/raft/core_replica.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/record_batch.h"
#include "common/sim/trace_hash.h"

namespace varve::raftsim {
namespace {

constexpr GroupId kGroup{70'000};
// Payloads of the core's own entries; proposals stay below.
constexpr uint64_t kOwnPayload = uint64_t{1} << 63;
// A batch of one record whose contents nobody looks at: its header, and the proposal's number.
constexpr size_t kPayloadBytes = kBatchHeaderBytes + sizeof(uint64_t);

FrameBuffer DataPayload(uint64_t proposal) {
  FrameBuffer buffer(kPayloadBytes);
  std::fill_n(buffer.payload(), kPayloadBytes, '\0');
  StoreLittle<uint64_t>(buffer.payload() + kBatchHeaderBytes, proposal);
  return buffer;
}

raft::CoreOptions OptionsOf(const SimOptions& sim, ReplicaId self, uint64_t seed) {
  raft::CoreOptions options;
  options.group = kGroup;
  options.self = self;
  options.max_uncommitted_bytes = 200 * (kEntryHeaderBytes + kPayloadBytes);
  // Small, so that everything that has a bound meets it.
  options.max_write_bytes = 3'000;
  options.max_append_bytes = sim.append_bytes;
  options.window_appends = sim.window_appends;
  options.window_bytes = 16'000;
  if (sim.tight) options.max_uncommitted_bytes = options.window_bytes = kEntryHeaderBytes;
  options.max_recent_bytes = 12'000;
  options.heartbeat_ticks = 1;
  options.election_ticks = 10;
  options.floor_silence_ticks = 40;
  options.pre_vote = sim.pre_vote;
  options.start_grace = true;
  options.seed = seed;
  return options;
}

LogEnd EndOf(const SimEntry& entry) {
  return {entry.index, entry.term, entry.next_offset, WallTime{0}};
}

Configurations ConfigurationsOf(const LogImage& log, Index commit) {
  Configurations known;
  known.committed = {log.base.index, *log.base.configuration};
  for (const SimEntry& entry : log.entries) {
    if (!entry.configuration) continue;
    if (known.uncommitted) known.committed = *known.uncommitted;
    known.uncommitted = {entry.index, *entry.configuration};
  }
  if (known.uncommitted && known.uncommitted->index <= commit) {
    known.committed = *std::exchange(known.uncommitted, std::nullopt);
  }
  return known;
}

std::vector<EpochStart> EpochsOf(const LogImage& log) {
  std::vector<EpochStart> epochs;
  for (const SimEntry& entry : log.entries) {
    if (!epochs.empty() && epochs.back().term == entry.term) continue;
    epochs.push_back({entry.term, entry.index, entry.base_offset});
  }
  return epochs;
}

LogEnd EndOf(const LogImage& log) {
  return {log.last_index(), log.last_term(), log.next_offset(), WallTime{0}};
}

raft::CoreState StateOf(const LogImage& log) {
  raft::CoreState state;
  state.hard_state = log.hard_state;
  state.start = log.start;
  state.end = EndOf(log);
  state.commit_index = std::max(log.commit, log.start.index - 1);
  state.configurations = ConfigurationsOf(log, state.commit_index);
  state.epochs = EpochsOf(log);
  if (state.commit_index < log.start.index) {
    state.ends.push_back(
        {log.start.index - 1, log.start.previous_term, log.start.offset, WallTime{0}});
  }
  for (const SimEntry& entry : log.entries) {
    if (entry.index >= state.commit_index) state.ends.push_back(EndOf(entry));
  }
  return state;
}

}  // namespace

CoreReplica::CoreReplica(const SimOptions& options, ReplicaId self, uint64_t seed,
                         const LogImage& image, std::shared_ptr<ConfigProposals> proposals)
    : self_(self),
      trims_(options.on[static_cast<size_t>(Fault::kTrim)]),
      random_(SeededRandom(seed ^ 0x5eed)),
      proposals_(std::move(proposals)),
      log_(image),
      core_(OptionsOf(options, self, seed), StateOf(image)) {
  RefreshState();
}

void CoreReplica::Tick() {
  // Reading may take several ticks, and the log may be trimmed meanwhile.
  const bool trims = trims_ && !later_.empty() && random_->OneIn(4);
  if (trims) Trim(core_.commit_index());
  for (raft::Input& input : std::exchange(later_, {})) {
    if (random_->OneIn(2)) {
      later_.push_back(std::move(input));
    } else {
      core_.Step(std::move(input));
    }
  }
  const Index folded = std::min(core_.commit_index(), core_.durable_index());
  if (random_->OneIn(4)) core_.Step(raft::Folded{folded});
  if (core_.needs_tick()) core_.Step(raft::Tick{1});  // as the owner's timer does
}

void CoreReplica::Receive(const Packet& packet) {
  if (packet.image) {
    images_[KeyOf(*packet.image)] = packet.image;
  }
  core_.Step(raft::Receive{*packet.message});
}

void CoreReplica::Propose(uint64_t proposal) {
  core_.Step(raft::Propose{raft::ProposalId{proposal}, EntryKind::kData, DataPayload(proposal), 1,
                           std::nullopt, WallTime{0}});
}

void CoreReplica::ProposeConfiguration(uint64_t proposal, const Configuration& configuration) {
  core_.Step(raft::Propose{raft::ProposalId{proposal}, EntryKind::kConfig,
                           FrameBuffer::Copy(EncodeConfiguration(configuration)), 0, std::nullopt,
                           WallTime{0}});
}

void CoreReplica::Transfer(ReplicaId target) { core_.Step(raft::Transfer{target}); }

void CoreReplica::ReadBarrier(uint64_t read) { core_.Step(raft::ReadBarrier{raft::ReadId{read}}); }

void CoreReplica::DiskDone(uint64_t sequence, Term term) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  core_.Step(raft::DiskDone{found->second, term});
  sequences_.erase(found);
}

void CoreReplica::DiskFailed() {
  trims_ = false;
  core_.Step(raft::DiskFailed{});
}

void CoreReplica::DiskSlow(bool slow) { core_.Step(raft::DiskSlow{slow}); }

void CoreReplica::DiskFull(bool full) { core_.Step(raft::DiskFull{full}); }

void CoreReplica::PeerLost(ReplicaId peer) { core_.Step(raft::PeerLost{peer}); }

void CoreReplica::Trim(Index first) {
  if (first > core_.commit_index() + 1 || first <= log_.start.index) return;
  DiskWrite write;
  write.sequence = ++last_sequence_;
  write.term = core_.term();
  write.trim_to = first;
  write.commit = core_.commit_index();
  log_.Apply(write);
  out_.disk.push_back(std::move(write));
  core_.Step(raft::LogStartMoved{log_.start});
}

Outbox CoreReplica::TakeEffects() {
  TakeFromCore();
  RefreshState();
  return std::exchange(out_, {});
}

// What the core asks for may be answered at once, and that may ask for more.
void CoreReplica::TakeFromCore() {
  for (bool more = true; more;) {
    raft::Effects effects = core_.TakeEffects();
    for (const raft::ProposalResult& result : effects.results) AddResult(result);
    for (const raft::DiskOperation& operation : effects.disk) AddWrite(operation);
    for (raft::Message& message : effects.messages) AddPacket(std::move(message));
    for (const raft::ReadResult& read : effects.reads) {
      out_.reads.push_back({read.id.value(), read.index});
    }
    more = !effects.loads.empty() || !effects.prepare_installs.empty() || effects.stage_install;
    VARVE_CHECK(effects.refused.empty(), "refused ", raft::NameOf(effects.refused[0].type), " of ",
                effects.refused[0].from.node, ": ", static_cast<int>(effects.refused[0].why));
    Answer(effects);
  }
}

void CoreReplica::StepSoon(raft::Input input) {
  if (random_->OneIn(4)) {
    later_.push_back(std::move(input));
  } else {
    core_.Step(std::move(input));
  }
}

void CoreReplica::Answer(raft::Effects& effects) {
  for (const raft::LoadEntries& load : effects.loads) StepSoon(Load(load));
  for (const raft::PrepareInstall& prepare : effects.prepare_installs) {
    const auto image = MakeImage();
    images_[KeyOf(*image)] = image;
    raft::InstallPoint point;
    point.start = image->start;
    point.end = EndOf(*image);
    point.configuration = ConfigurationsOf(*image, image->commit).committed;
    point.epochs = EpochsOf(*image);
    StepSoon(raft::InstallReady{prepare.peer, std::move(point)});
  }
  if (effects.stage_install) StepSoon(raft::InstallStaged{effects.stage_install->point});
}

std::shared_ptr<const LogImage> CoreReplica::MakeImage() const {
  auto image = std::make_shared<LogImage>(log_);
  image->Truncate(core_.commit_index() + 1);
  image->commit = core_.commit_index();
  return image;
}

raft::EntriesLoaded CoreReplica::Load(const raft::LoadEntries& load) const {
  raft::EntriesLoaded loaded{load.peer, load.from, {}};
  size_t bytes = 0;
  for (const SimEntry* entry = log_.At(load.from); entry != nullptr;
       entry = log_.At(entry->index + 1)) {
    Entry frame = FrameOf(*entry);
    bytes += frame.header.frame_bytes();
    if (bytes > load.max_bytes && !loaded.entries.empty()) break;
    loaded.entries.push_back(std::move(frame));
  }
  return loaded;
}

Entry CoreReplica::FrameOf(const SimEntry& entry) const {
  FrameBuffer payload(0);
  if (entry.kind == EntryKind::kData) payload = DataPayload(entry.payload);
  if (entry.kind == EntryKind::kConfig) {
    payload = FrameBuffer::Copy(EncodeConfiguration(*entry.configuration));
  }
  EntryHeader header;
  header.kind = entry.kind;
  header.group = kGroup;
  header.first_index = header.last_index = entry.index;
  header.term = entry.term;
  header.base_offset = entry.base_offset;
  header.last_offset = entry.next_offset - 1;
  return std::move(payload).Seal(header);
}

SimEntry CoreReplica::Describe(const Entry& entry) const {
  const EntryHeader& header = entry.header;
  SimEntry described;
  described.index = header.first_index;
  described.term = header.term;
  described.kind = header.kind;
  described.base_offset = header.base_offset;
  described.next_offset = header.next_offset();
  described.payload = kOwnPayload | MixHash(header.term.value(), header.first_index.value());
  if (header.kind == EntryKind::kData) {
    described.payload = LoadLittle<uint64_t>(entry.payload().data() + kBatchHeaderBytes);
  }
  if (header.kind == EntryKind::kConfig) {
    described.configuration =
        std::make_shared<const Configuration>(*DecodeConfiguration(entry.payload()));
    const auto proposal = proposals_->find({header.first_index, header.term});
    if (proposal != proposals_->end()) described.payload = proposal->second;
  }
  return described;
}

void CoreReplica::AddWrite(const raft::DiskOperation& operation) {
  DiskWrite write;
  write.sequence = ++last_sequence_;
  sequences_[write.sequence] = operation.sequence;
  write.term = operation.term;
  write.truncate_from = operation.write.truncate_from;
  write.hard_state = operation.write.hard_state;
  write.commit = operation.write.commit_index;
  if (operation.install) {
    write.install = images_.at(KeyOf(*operation.install));
  }
  write.entries.reserve(operation.write.entries.size());
  for (const Entry& entry : operation.write.entries) write.entries.push_back(Describe(entry));
  log_.Apply(write);
  out_.disk.push_back(std::move(write));
}

void CoreReplica::AddPacket(raft::Message message) {
  Packet packet;
  packet.type = raft::TypeOf(message);
  packet.from = message.from;
  packet.to = message.to;
  packet.term = message.term;
  if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    packet.previous = append->prev_index;
    packet.commit = append->commit;
    packet.entries = append->entries.size();
  } else if (const auto* reply = std::get_if<raft::AppendReply>(&message.body)) {
    packet.reject = reply->rejected;
    packet.acknowledged = reply->report.match;
  } else if (const auto* install = std::get_if<raft::InstallReply>(&message.body)) {
    packet.acknowledged = install->report.match;
  } else if (const auto* request = std::get_if<raft::VoteRequest>(&message.body)) {
    packet.forced = request->forced;
    packet.previous = request->last_index;
    packet.last_term = request->last_term;
  } else if (const auto* vote = std::get_if<raft::VoteReply>(&message.body)) {
    packet.reject = !vote->granted;
  } else if (const auto* heartbeat = std::get_if<raft::Heartbeat>(&message.body)) {
    packet.commit = heartbeat->commit;
  } else if (const auto* answer = std::get_if<raft::HeartbeatReply>(&message.body)) {
    packet.acknowledged = answer->report.match;
  } else if (const auto* offer = std::get_if<raft::InstallRequest>(&message.body)) {
    packet.image = images_.at(KeyOf(offer->point));
  }
  packet.message = std::make_shared<const raft::Message>(std::move(message));
  out_.messages.push_back(std::move(packet));
}

void CoreReplica::AddResult(const raft::ProposalResult& result) {
  const uint64_t proposal = result.id.value();
  if (const auto* accepted = std::get_if<raft::ProposalAccepted>(&result.result)) {
    (*proposals_)[{accepted->index, accepted->term}] = proposal;
    return;
  }
  Result told{proposal, Outcome::kUnknown, Index{}};
  if (const auto* committed = std::get_if<raft::ProposalCommitted>(&result.result)) {
    told.outcome = Outcome::kCommitted;
    told.index = committed->index;
  } else if (std::holds_alternative<raft::ProposalLost>(result.result)) {
    told.outcome = Outcome::kLost;
  } else if (std::holds_alternative<raft::ProposalRefused>(result.result)) {
    told.outcome = Outcome::kRefused;
  }
  out_.results.push_back(told);
}

// Both keep their address as long as they are the same: checkers compare that.
void CoreReplica::RefreshState() {
  const Configuration& acting = core_.log().configuration();
  if (!configuration_ || !(*configuration_ == acting)) {
    configuration_ = std::make_shared<const Configuration>(acting);
  }
  const std::vector<EpochStart>& epochs = core_.log().epochs();
  if (!epochs_ || !(*epochs_ == epochs)) {
    epochs_ = std::make_shared<const std::vector<EpochStart>>(epochs);
  }
}

ReplicaState CoreReplica::state() const {
  ReplicaState s;
  s.role = core_.role();
  s.term = core_.term();
  s.vote = core_.vote();
  s.leader = core_.leader();
  s.commit = core_.commit_index();
  s.last = core_.end().last_index;
  s.durable = core_.durable_index();
  s.confirmed = core_.leadership_confirmed();
  s.floor = core_.compaction_floor();
  s.waited_ticks = core_.ticks_waited();
  s.ticks_without_leader = core_.ticks_without_leader();
  s.needs_tick = core_.needs_tick();
  s.configuration = configuration_;
  s.epochs = epochs_;
  s.uncommitted_bytes = core_.uncommitted_bytes();
  s.pending = core_.pending_proposals();
  for (const auto& [id, follower] : core_.followers()) {
    const raft::Window& window = follower.window;
    s.inflight += window.appends() + window.bytes() + (follower.probe_sent ? 1 : 0);
  }
  return s;
}

}  // namespace varve::raftsim
