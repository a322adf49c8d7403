#include "server/broker_peers.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"
#include "server/mark_note.h"
#include "server/metadata/formation.h"

namespace varve::server {
namespace {

constexpr Nanos kRegistrationInterval = 250 * kMillisecond;
constexpr Nanos kHandOverInterval = kSecond;
constexpr Nanos kJoinTimeout = 5 * kSecond;
constexpr Nanos kTransferTimeout = 2 * kSecond;
// How often it is looked whether anybody is heard.
constexpr Nanos kSilenceInterval = 2 * kSecond;
// Until a broker that was taken out of the cluster asks again.
constexpr Nanos kLeftInterval = 5 * kSecond;

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

void BrokerPeers::Report(ReportRequest request, Reply<ReportReply> reply) {
  parts_.host.ShardOf(kMetadataGroup)
      .Post([self = self_, request = std::move(request), reply = std::move(reply)]() mutable {
        if (*self == nullptr)
          return reply(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
        Controller* controller = (*self)->parts_.controller();
        if (controller == nullptr)
          return reply(MakeError(Reason::STARTING, "the broker is starting"));
        controller->TakeReports(request.reports,
                                [reply = std::move(reply)](absl::Status status) mutable {
                                  if (!status.ok()) return reply(std::move(status));
                                  reply(ReportReply{});
                                });
      });
}

// --- Leadership
// -----------------------------------------------------------------------------------

void BrokerPeers::Transfer(TransferRequest request, Reply<TransferReply> reply) {
  parts_.host.With(request.group,
                   [this, request, reply = std::move(reply)](Partition* partition) mutable {
                     if (partition == nullptr) return reply(parts_.host.WhyMissing(request.group));
                     if (request.to == parts_.self.node)
                       return TakeLead(*partition, request, std::move(reply));
                     absl::Status status = partition->TransferTo(request.to);
                     if (!status.ok()) return reply(std::move(status));
                     reply(TransferReply{});
                   });
}

void BrokerPeers::TakeLead(Partition& partition, const TransferRequest& request,
                           Reply<TransferReply> reply) {
  if (absl::Status status = partition.WouldLead(); !status.ok()) return reply(std::move(status));
  if (partition.serving()) return reply(TransferReply{});
  const auto leader = parts_.view.FindBroker(partition.leader());
  if (!leader || leader->node == parts_.self.node) return reply(partition.WhyNotServing());
  parts_.client.Transfer(leader->peer_address, request, kTransferTimeout, std::move(reply));
}

void BrokerPeers::AskToLead(TransferRequest request, Reply<TransferReply> reply) {
  if (request.to == parts_.self.node) return Transfer(request, std::move(reply));
  const auto broker = parts_.view.FindBroker(request.to);
  if (!broker) {
    parts_.home.Post([reply = std::move(reply), node = request.to]() mutable {
      reply(MakeError(Reason::UNKNOWN_BROKER, "node ", node, " is no broker of the cluster"));
    });
    return;
  }
  parts_.client.Transfer(broker->peer_address, request, kTransferTimeout, std::move(reply));
}

// --- The own place
// --------------------------------------------------------------------------------

void BrokerPeers::ArmRegistration(Nanos wait) {
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  home.RunAt(parts_.clock.Now() + wait, [self = self_] {
    if (*self != nullptr) (*self)->Register();
  });
}

// A controller registers itself; everybody else asks it, whenever its place may have changed. When
// all others are silent it may be that they do not know this broker any more; and a controller that
// entered while this one was away cannot be answered before its address is known.
void BrokerPeers::Register() {
  const bool lost = HearsNobody() || !KnowsController();
  if (parts_.view.FindBroker(parts_.self.node) == parts_.self && !lost)
    return ArmRegistration(kSilenceInterval);
  const std::string address = RegistrarAddress(lost);
  if (address.empty()) return ArmRegistration(kRegistrationInterval);
  parts_.client.Join(
      address, JoinRequest{parts_.self}, kJoinTimeout,
      [self = self_, &home = parts_.host.ShardOf(kMetadataGroup)](absl::StatusOr<JoinReply> reply) {
        home.Post([self, reply = std::move(reply)] {
          if (*self != nullptr) (*self)->OnRegistered(reply);
        });
      });
}

bool BrokerPeers::HearsNobody() const {
  const std::vector<BrokerInfo> brokers = parts_.view.brokers();
  return brokers.size() > 1 &&
         std::none_of(brokers.begin(), brokers.end(), [&](const BrokerInfo& broker) {
           return broker.node != parts_.self.node && parts_.view.IsLive(broker.node);
         });
}

// Whether the metadata names the broker that leads it, as far as somebody does.
bool BrokerPeers::KnowsController() const {
  const auto leader = parts_.view.LeaderOf(kMetadataGroup);
  return !leader || parts_.view.FindBroker(leader->node).has_value();
}

// The controller's; of one broker after the other while it is not known, and of whom they name.
std::string BrokerPeers::RegistrarAddress(bool lost) {
  if (!redirect_.empty()) return std::exchange(redirect_, {});
  if (lost) {
    const std::vector<BrokerInfo> brokers = MergedBrokers(parts_.known, parts_.view.brokers());
    if (brokers.empty()) return {};
    const BrokerInfo& next = brokers[asked_++ % brokers.size()];
    return next.node == parts_.self.node ? std::string() : next.peer_address;
  }
  const auto leader = parts_.view.LeaderOf(kMetadataGroup);
  const auto controller = leader ? parts_.view.FindBroker(leader->node) : std::nullopt;
  if (!controller || controller->node == parts_.self.node) return {};
  return controller->peer_address;
}

// Those that the controller names are connected to until the metadata comes.
void BrokerPeers::OnRegistered(const absl::StatusOr<JoinReply>& reply) {
  const absl::Status& status = reply.status();
  if (reply.ok()) {
    parts_.known = reply->brokers;
    UpdatePeers();
  }
  const bool left = !status.ok() && ReasonOf(status) == Reason::BROKER_LEFT;
  if (left && parts_.on_left) parts_.on_left();
  if (!status.ok() && ReasonOf(status) == Reason::NOT_LEADER)
    redirect_ = ErrorDetail("leader_address", status);
  ArmRegistration(left ? kLeftInterval : kRegistrationInterval);
}

}  // namespace varve::server
