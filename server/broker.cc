#include "server/broker.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

// A broker that stops hands over what it leads within so long, or stops all the same.
constexpr Nanos kDrainInterval = 20 * kMillisecond;
constexpr int kDrainAttempts = 250;

}  // namespace

Broker::Broker(const Clock& clock, Random& random, BrokerOptions options, BrokerExecutors executors)
    : clock_(clock),
      random_(random),
      options_(std::move(options)),
      executors_(std::move(executors)),
      gate_(clock) {}

Broker::~Broker() {
  if (transport_ != nullptr) transport_->SetListener(nullptr);
}

absl::StatusOr<std::unique_ptr<Broker>> Broker::Open(FileSystem& files, const Clock& clock,
                                                     Random& random,
                                                     std::unique_ptr<storage::StateStore> store,
                                                     BrokerOptions options,
                                                     BrokerExecutors executors) {
  return Open(
      files, clock, random,
      [&store]() -> absl::StatusOr<std::unique_ptr<storage::StateStore>> {
        return std::move(store);
      },
      std::move(options), std::move(executors));
}

absl::StatusOr<std::unique_ptr<Broker>> Broker::Open(FileSystem& files, const Clock& clock,
                                                     Random& random, StoreOpener open_store,
                                                     BrokerOptions options,
                                                     BrokerExecutors executors) {
  VARVE_CHECK(!executors.shards.empty() && executors.background != nullptr);
  std::unique_ptr<Broker> broker(
      new Broker(clock, random, std::move(options), std::move(executors)));
  VARVE_ASSIGN_OR_RETURN(broker->directory_, storage::DataDirectory::Open(
                                                 files, clock, random, broker->options_.directory,
                                                 broker->executors_.storage));
  VARVE_ASSIGN_OR_RETURN(broker->store_, open_store());
  broker->host_ =
      std::make_unique<PartitionHost>(*broker->directory_, broker->executors_.shards, clock,
                                      broker->view_, broker->catalogue_, random.Next());
  broker->reporter_ = std::make_unique<ReplicaReporter>(ReplicaReporterParts{
      .view = broker->view_,
      .clock = clock,
      .self = broker->directory_->identity().node,
      .client = broker->options_.peer_client,
      .controller = [raw = broker.get()] { return raw->controller_.get(); },
  });
  broker->host_->SetReports(broker->reporter_.get());
  // A disk that stalls is no place for a leader; what is damaged is fetched from others. Events end
  // with the directory's last I/O, before the host goes.
  broker->directory_->AddDiskListener(
      [host = broker->host_.get()](const storage::DiskEvent& event) {
        const bool slow = event.kind != storage::DiskEvent::Kind::kOk;
        host->ForEach([slow](Partition& partition) { partition.SetDiskSlow(slow); });
      });
  broker->directory_->AddScrubListener(
      [host = broker->host_.get()](const storage::ScrubFinding& finding) {
        host->With(finding.group, [](Partition* partition) {
          if (partition != nullptr) partition->RepairDamage();
        });
      });
  if (broker->options_.make_transport) broker->MakePeers();
  broker->watch_ =
      std::make_unique<BrokerWatch>(broker->directory_->identity().node, broker->clock_);
  broker->service_ = std::make_unique<LocalService>(LocalServiceParts{
      .clock = clock,
      .gate = broker->gate_,
      .metrics = broker->metrics_,
      .catalogue = broker->catalogue_,
      .view = broker->view_,
      .host = *broker->host_,
      .controller = [raw = broker.get()] { return raw->controller_.get(); },
      .directory = *broker->directory_,
      .watch = *broker->watch_,
      .look = [raw = broker.get()](auto use) { raw->Look(std::move(use)); },
      .cluster = broker->directory_->identity().cluster,
      .self = broker->directory_->identity().node,
      .advertised_address = broker->options_.advertised_address,
      .ask_to_lead = broker->AskToLead(),
  });
  return broker;
}

BrokerInfo Broker::Self() const {
  const storage::DirectoryIdentity& identity = directory_->identity();
  return {identity.node, identity.directory, options_.advertised_address, options_.peer_address};
}

std::function<void(TransferRequest, Reply<TransferReply>)> Broker::AskToLead() {
  if (peers_ == nullptr) return {};
  return [this](TransferRequest request, Reply<TransferReply> reply) {
    peers_->AskToLead(request, std::move(reply));
  };
}

// What it knows of the cluster grows old, so it sends clients away.
void Broker::OnLeft() {
  if (!ready_.exchange(false)) return;
  gate_.Leave();
  if (options_.report_left) options_.report_left();
}

void Broker::MakePeers() {
  VARVE_CHECK(options_.peer_client != nullptr && executors_.peers != nullptr);
  transport_ = options_.make_transport(*directory_);
  peers_ = std::make_unique<BrokerPeers>(BrokerPeersParts{
      .directory = *directory_,
      .host = *host_,
      .view = view_,
      .transport = *transport_,
      .client = *options_.peer_client,
      .home = *executors_.peers,
      .clock = clock_,
      .shards = executors_.shards,
      .controller = [this] { return controller_.get(); },
      .self = Self(),
      .known = options_.entry.known,
      .report_image = options_.report_image,
      .on_left = [this] { OnLeft(); },
  });
  host_->SetPeers(&peers_->hub());
}

void Broker::SetEntry(ClusterEntry entry) {
  if (peers_ != nullptr) peers_->SetKnown(entry.known);
  options_.entry = std::move(entry);
}

void Broker::SetAddresses(std::string client_address, std::string peer_address) {
  options_.advertised_address = std::move(client_address);
  options_.peer_address = std::move(peer_address);
  if (peers_ != nullptr) peers_->SetSelf(Self());
}

bool Broker::in_cluster() const {
  const std::vector<GroupId> groups = directory_->groups();
  return std::find(groups.begin(), groups.end(), kMetadataGroup) != groups.end();
}

void Broker::Start(absl::AnyInvocable<void(absl::Status)> ready) {
  Placement metadata;
  metadata.options.group = kMetadataGroup;
  metadata.options.self = {directory_->identity().node, options_.entry.metadata_epoch};
  metadata.options.policy.segment_bytes = limits::kDefaultSegmentBytes;
  if (options_.entry.founds) {
    metadata.bootstrap.emplace();
    metadata.bootstrap->configuration.voters = {metadata.options.self};
    metadata.bootstrap->append_time = clock_.Wall();
  }
  host_->Place(std::move(metadata), [this, ready = std::move(ready)](absl::Status status) mutable {
    if (!status.ok()) return ready(AddContext(status, "opening the metadata partition"));
    StartController(std::move(ready));
  });
}

// On the metadata partition's shard.
void Broker::StartController(absl::AnyInvocable<void(absl::Status)> ready) {
  Partition* metadata = host_->Find(kMetadataGroup);
  VARVE_CHECK(metadata != nullptr);
  if (absl::Status suspect = metadata->suspicion(); !suspect.ok())
    return ready(AddContext(suspect, "the metadata partition"));
  const storage::DirectoryIdentity identity = directory_->identity();
  ControllerOptions options;
  options.self = metadata->self();
  options.cluster = identity.cluster;
  options.directory = identity.directory;
  options.addresses = Self();
  options.reports = reporter_.get();
  if (peers_ != nullptr)
    options.transfer = [this](GroupId group, NodeId to) {
      peers_->AskToLead({group, to}, [](const absl::StatusOr<TransferReply>&) {});
    };
  view_.SetLive(identity.node, true);
  controller_ =
      std::make_unique<Controller>(std::move(options), *host_, *metadata, *store_, catalogue_,
                                   view_, random_, clock_, *executors_.background);
  reporter_->Start(host_->ShardOf(kMetadataGroup));
  if (peers_ != nullptr) {
    controller_->SetBrokersListener([this] { peers_->UpdatePeers(); });
    peers_->Start();
  }
  controller_->Start([this, ready = std::move(ready)](absl::Status status) mutable {
    if (status.ok()) {
      gate_.Open();
      ready_.store(true, std::memory_order_release);
    }
    ready(std::move(status));
  });
}

// --- What is wrong
// --------------------------------------------------------------------------------

void Broker::Look(absl::AnyInvocable<void(BrokerSight)> use) {
  auto look = [this, use = std::move(use)](std::vector<raft::PeerState> peers) mutable {
    host_->With(kMetadataGroup, [this, use = std::move(use),
                                 peers = std::move(peers)](Partition* metadata) mutable {
      BrokerSight sight;
      sight.health = directory_->health();
      sight.room = directory_->AdmitData();
      sight.disk_slow = directory_->disk_watch_stats().slow;
      // A clock that is off deletes nothing either: said once is enough.
      sight.clock_off = host_->clock_watch().Off();
      if (sight.clock_off.empty()) sight.deletion_pause = host_->clock_watch().Check();
      sight.not_joined = WhyNotJoined(metadata);
      sight.peers = std::move(peers);
      use(std::move(sight));
    });
  };
  if (peers_ == nullptr) return look({});
  peers_->hub().Describe(
      [look = std::move(look)](std::vector<raft::PeerState> peers,
                               const raft::PeerHubStats&) mutable { look(std::move(peers)); });
}

// On the metadata partition's shard.
std::string Broker::WhyNotJoined(const Partition* metadata) const {
  if (metadata == nullptr) return "the metadata partition is not open";
  const NodeId self = directory_->identity().node;
  const Configuration& now = metadata->core().log().configuration();
  for (const auto* members : {&now.voters, &now.learners})
    if (std::find(members->begin(), members->end(), metadata->self()) != members->end()) return {};
  const auto known = view_.FindBroker(self);
  if (!known || known->directory != directory_->identity().directory)
    return StrCat("the metadata does not know node ", self, " with this data directory");
  return StrCat("node ", self, " is registered, and no member of the metadata group yet");
}

void Broker::NoteConditions() {
  Look([this](const BrokerSight& sight) { watch_->Look(sight); });
}

void Broker::Stop(absl::AnyInvocable<void(absl::Status)> done) {
  Task close = [this, done = std::move(done)]() mutable { CloseDown(std::move(done)); };
  if (peers_ == nullptr || !ready()) return close();
  host_->Drain();
  AwaitDrained(kDrainAttempts, std::move(close));
}

// Clients go to the next leaders meanwhile, each told by the answer that it gets here.
void Broker::AwaitDrained(int attempts, Task done) {
  host_->CountLed([this, attempts, done = std::move(done)](size_t led) mutable {
    if (led == 0 || attempts == 0) return done();
    host_->ShardOf(kMetadataGroup)
        .RunAt(clock_.Now() + kDrainInterval, [this, attempts, done = std::move(done)]() mutable {
          AwaitDrained(attempts - 1, std::move(done));
        });
  });
}

void Broker::CloseDown(absl::AnyInvocable<void(absl::Status)> done) {
  ready_.store(false, std::memory_order_release);
  gate_.Close();
  host_->ShardOf(kMetadataGroup).Post([this, done = std::move(done)]() mutable {
    reporter_->Stop();
    if (controller_) controller_->Stop();
    auto close = [this, done = std::move(done)]() mutable {
      directory_->Close(
          [done = std::move(done)](absl::Status status) mutable { done(std::move(status)); });
    };
    host_->StopAll([this, close = std::move(close)]() mutable {
      if (peers_ == nullptr) return close();
      peers_->Stop(std::move(close));
    });
  });
}

}  // namespace varve::server
