#include "server/broker_peers.h"

#include <utility>

#include "common/error.h"
#include "server/mark_note.h"

namespace varve::server {
namespace {

constexpr Nanos kRegistrationInterval = 250 * kMillisecond;
constexpr Nanos kHandOverInterval = kSecond;
constexpr Nanos kJoinTimeout = 5 * kSecond;

}  // namespace

BrokerPeers::BrokerPeers(BrokerPeersParts parts)
    : parts_(std::move(parts)),
      hub_({.self = parts_.self.node,
            .process_epoch = parts_.directory.process_epoch(),
            .recovery_number = parts_.directory.recovery_number()},
           parts_.transport, parts_.host, static_cast<raft::PeerHubListener&>(*this), parts_.home,
           parts_.clock, parts_.shards),
      self_(std::make_shared<BrokerPeers*>(this)) {}

BrokerPeers::~BrokerPeers() {
  if (!stopped_) *self_ = nullptr;
}

void BrokerPeers::Start() {
  parts_.view.SetLive(parts_.self.node, true);
  hub_.Start();
  UpdatePeers();
  ArmRegistration(0);
}

void BrokerPeers::Stop(Task done) {
  parts_.host.ShardOf(kMetadataGroup).Post([self = self_, done = std::move(done)]() mutable {
    BrokerPeers* me = std::exchange(*self, nullptr);
    me->stopped_ = true;
    me->hub_.Stop(std::move(done));
  });
}

void BrokerPeers::UpdatePeers() {
  std::map<NodeId, std::string> addresses;
  for (const BrokerInfo& broker : parts_.known) addresses[broker.node] = broker.peer_address;
  for (const BrokerInfo& broker : parts_.view.brokers())
    addresses[broker.node] = broker.peer_address;
  hub_.SetPeers(std::move(addresses));
}

// --- News of others
// -------------------------------------------------------------------------------

// Marks: what the node says of its directory, and what it remembers of this one.
void BrokerPeers::OnHeartbeat(NodeId from, const raft::NodeHeartbeat& heartbeat) {
  parts_.host.clock_watch().Hear(from, heartbeat.clock);
  JudgeClock();
  const auto note = DecodeMarkNote(heartbeat.note, from, parts_.self.node);
  if (!note.ok()) return;
  directories_[from] = note->said.now.directory;
  if (heartbeat.recovery_number > parts_.directory.recovery_number())
    return StopForGood(
        StrCat("node ", from,
               " says that the cluster went on without this broker (recovery number ",
               heartbeat.recovery_number, ", here ", parts_.directory.recovery_number(), ")"),
        {});
  if (note->remembered.complete()) JudgeSelf(from, note->remembered);
  const storage::MarkFinding finding = parts_.directory.NotePeer(note->said);
  if (!finding.suspect()) {
    accused_.erase(from);
  } else if (accused_.insert(from).second && parts_.report_image) {
    parts_.report_image(from, finding.why);
  }
}

// Whoever is off and leads all the same, since nobody else could, hands over again and again.
void BrokerPeers::JudgeClock() {
  const MonoTime now = parts_.clock.Now();
  if (now < next_hand_over_ || parts_.host.clock_watch().Off().empty()) return;
  next_hand_over_ = now + kHandOverInterval;
  parts_.host.ForEach([](Partition& partition) { partition.HandOver(); });
}

// The first peer that remembers more than this directory has ends the trust in it.
void BrokerPeers::JudgeSelf(NodeId from, const storage::PeerMark& remembered) {
  if (suspect_) return;
  const storage::MarkFinding finding = parts_.directory.JudgeSelf(remembered);
  if (finding.suspect())
    StopForGood(StrCat("node ", from, " remembers more: ", finding.why), remembered);
}

// No replica of this directory takes part any more.
void BrokerPeers::StopForGood(const std::string& why, const storage::PeerMark& evidence) {
  if (std::exchange(suspect_, true)) return;
  // Told once it is durable: whoever hears of it may end the process.
  parts_.directory.MarkAllSuspect(
      why, evidence,
      [report = parts_.report_image, node = parts_.self.node, why](const absl::Status&) {
        if (report) report(node, why);
      });
  parts_.host.ForEach([](Partition& partition) { partition.MakeSuspect(); });
}

std::string BrokerPeers::NoteFor(NodeId node) {
  MarkNote note;
  note.said = parts_.directory.own_marks();
  if (const auto at = directories_.find(node); at != directories_.end())
    note.remembered = parts_.directory.MarkOf(node, at->second);
  return EncodeMarkNote(note);
}

void BrokerPeers::OnLed(NodeId node, const raft::LedView::Changes& changes) {
  for (const raft::LedGroup& led : changes.led) parts_.view.NoteLeader(led.group, node, led.term);
  for (const GroupId group : changes.not_led) parts_.view.ForgetLeader(group, node);
}

void BrokerPeers::OnLiveness(NodeId node, bool live) {
  parts_.view.SetLive(node, live, parts_.clock.Now());
  if (!live) parts_.host.clock_watch().Forget(node);
}

// --- Questions of others
// --------------------------------------------------------------------------

void BrokerPeers::Hello(HelloRequest /*request*/, Reply<HelloReply> reply) {
  const storage::DirectoryIdentity& identity = parts_.directory.identity();
  HelloReply out;
  out.node = identity.node;
  out.cluster = identity.cluster;
  out.directory = identity.directory;
  out.process_epoch = parts_.directory.process_epoch();
  if (const auto leader = parts_.view.LeaderOf(kMetadataGroup)) out.controller = leader->node;
  out.brokers = parts_.view.brokers();
  parts_.home.Post(
      [reply = std::move(reply), out = std::move(out)]() mutable { reply(std::move(out)); });
}

void BrokerPeers::Join(JoinRequest request, Reply<JoinReply> reply) {
  parts_.host.ShardOf(kMetadataGroup)
      .Post([self = self_, request = std::move(request), reply = std::move(reply)]() mutable {
        if (*self == nullptr)
          return reply(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
        Controller* controller = (*self)->parts_.controller();
        if (controller == nullptr)
          return reply(MakeError(Reason::STARTING, "the broker is starting"));
        controller->Join(
            std::move(request.broker),
            [self, reply = std::move(reply)](absl::StatusOr<ReplicaEpoch> epoch) mutable {
              if (!epoch.ok()) return reply(epoch.status());
              if (*self == nullptr)
                return reply(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
              const storage::DataDirectory& directory = (*self)->parts_.directory;
              reply(JoinReply{directory.identity().cluster, *epoch, (*self)->parts_.view.brokers(),
                              directory.recovery_number()});
            });
      });
}

// --- The own place
// --------------------------------------------------------------------------------

void BrokerPeers::ArmRegistration(Nanos wait) {
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  home.RunAt(parts_.clock.Now() + wait, [self = self_] {
    if (*self != nullptr) (*self)->Register();
  });
}

// A controller registers itself; everybody else asks it, whenever it may have changed.
void BrokerPeers::Register() {
  if (parts_.view.FindBroker(parts_.self.node) == parts_.self) return;
  const auto leader = parts_.view.LeaderOf(kMetadataGroup);
  const auto controller = leader ? parts_.view.FindBroker(leader->node) : std::nullopt;
  if (!controller || controller->node == parts_.self.node)
    return ArmRegistration(kRegistrationInterval);
  parts_.client.Join(
      controller->peer_address, JoinRequest{parts_.self}, kJoinTimeout,
      [self = self_, &home = parts_.host.ShardOf(kMetadataGroup)](absl::StatusOr<JoinReply>) {
        home.Post([self] {
          if (*self != nullptr) (*self)->ArmRegistration(kRegistrationInterval);
        });
      });
}

}  // namespace varve::server
