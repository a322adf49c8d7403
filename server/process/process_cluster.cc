// BrokerProcess: other brokers: the door for them, and the way into a cluster.
#include <future>
#include <utility>

#include "common/error.h"
#include "server/log/logging.h"
#include "server/process/process.h"
#include "server/rpc/peer_client.h"
#include "server/rpc/peer_transport.h"

namespace varve::server {
namespace {

// A start waits no longer for brokers that do not answer.
constexpr Nanos kSeedPatience = kSecond;

bool IsWildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

void LogPeer(NodeId to, raft::Lane lane, const absl::Status& status) {
  const LogField node{"node", to.value()};
  const LogField which{"lane", lane == raft::Lane::kControl ? "control" : "bulk"};
  if (status.ok()) return Log(LogLevel::kInfo, "peers", "connected", {node, which});
  Log(LogLevel::kWarn, "peers", MessageOf(status), {node, which});
}

}  // namespace

absl::Status BrokerProcess::OpenPeerDoor() {
  VARVE_ASSIGN_OR_RETURN(const std::vector<SeedNode> seeds,
                         ParseSeeds(config_.Text("bootstrap.nodes")));
  if (config_.Text("peer.address").empty()) {
    if (seeds.empty()) return absl::OkStatus();
    return MakeError(Reason::CONFIG_FILE_INVALID,
                     "bootstrap.nodes names other brokers, and peer.address, where they reach this "
                     "one, is not set");
  }
  const HostPort address = config_.Address("peer.address");
  if (IsWildcard(address.host) && config_.Text("peer.advertise").empty())
    return MakeError(Reason::CONFIG_FILE_INVALID, "peer.address is ", config_.Text("peer.address"),
                     ", which is no address for others: add the line \"peer.advertise: "
                     "HOST:PORT\" with the one under which they reach this machine");
  if (IsWildcard(config_.Address("grpc.address").host) && config_.Text("advertise").empty())
    return MakeError(Reason::CONFIG_FILE_INVALID, "grpc.address is ", config_.Text("grpc.address"),
                     ", which is no address for clients of other brokers: add the line "
                     "\"advertise: HOST:PORT\" with the one under which they reach this machine");
  VARVE_ASSIGN_OR_RETURN(peer_door_, PeerDoor::Start({FormatHostPort(address.host, address.port)}));
  peer_loop_ = AddExecutor("peer-loop");
  executors_.peers = AddExecutor("peers");
  peer_client_ = NewPeerClient(*peer_loop_);
  return absl::OkStatus();
}

std::string BrokerProcess::PeerAddress() const {
  if (const std::string& given = config_.Text("peer.advertise"); !given.empty()) return given;
  return FormatHostPort(config_.Address("peer.address").host, peer_door_->port());
}

std::string BrokerProcess::ClientAddress() const {
  if (const std::string& given = config_.Text("advertise"); !given.empty()) return given;
  return FormatHostPort(config_.Address("grpc.address").host, grpc_->port());
}

void BrokerProcess::SetAddresses() {
  if (peer_door_ != nullptr) broker_->SetAddresses(ClientAddress(), PeerAddress());
}

std::unique_ptr<raft::Transport> BrokerProcess::MakeTransport(
    const storage::DataDirectory& directory) {
  PeerTransportOptions options;
  options.cluster = directory.identity().cluster;
  options.node = directory.identity().node;
  options.process_epoch = directory.process_epoch();
  options.report = LogPeer;
  auto transport = std::make_unique<PeerTransport>(std::move(options), RealClock(), *peer_loop_);
  peer_door_->SetInbound(transport->inbound());
  return transport;
}

// Before the directory is opened: in another cluster nothing of it is to be served.
absl::Status BrokerProcess::CheckCluster(ClusterId ours) {
  VARVE_ASSIGN_OR_RETURN(const std::vector<SeedNode> seeds,
                         ParseSeeds(config_.Text("bootstrap.nodes")));
  std::promise<absl::Status> promise;
  CheckSeeds(seeds, NodeId(static_cast<uint32_t>(config_.Number("node_id"))), ours, *peer_client_,
             *executors_.peers, kSeedPatience,
             [&promise](absl::Status status) { promise.set_value(std::move(status)); });
  return promise.get_future().get();
}

// Without metadata that counts it would never be ready.
void BrokerProcess::GiveUpStarting(const std::string& why) {
  std::lock_guard lock(mutex_);
  if (started_) return;
  started_ = MakeErrorText(Reason::REPLICA_SUSPECT, why);
  changed_.notify_all();
}

absl::StatusOr<bool> BrokerProcess::EnterCluster(BrokerOptions* options) {
  options->peer_client = peer_client_.get();
  options->make_transport = [this](const storage::DataDirectory& directory) {
    return MakeTransport(directory);
  };
  options->report_image = [this](NodeId node, const std::string& why) {
    Log(LogLevel::kError, "storage",
        "a data directory is behind what others know: its replicas neither vote nor acknowledge",
        {{"node", node.value()}, {"because", why}});
    if (NodeId(static_cast<uint32_t>(config_.Number("node_id"))) == node) GiveUpStarting(why);
  };
  options->report_left = [] {
    Log(LogLevel::kError, "cluster",
        "this broker was taken out of the cluster: stop it, or start it with an empty directory",
        {});
  };
  absl::StatusOr<storage::DirectoryGlance> glance =
      storage::GlanceAtDirectory(RealFileSystem(), view_.data_dir);
  if (!glance.ok()) return AsOperatorsError(glance.status());
  // A directory without identity that is not empty is damaged: opening it says so.
  if (glance->identity) {
    VARVE_ASSIGN_OR_RETURN(const std::vector<SeedNode> seeds,
                           ParseSeeds(config_.Text("bootstrap.nodes")));
    options->entry.known = BrokersOf(seeds);
    VARVE_RETURN_IF_ERROR(CheckCluster(glance->identity->cluster));
    return false;
  }
  if (!glance->empty) return false;
  storage::DataDirectoryOptions& directory = options->directory;
  for (uint8_t& byte : directory.new_directory.bytes) byte = static_cast<uint8_t>(random_->Next());
  VARVE_ASSIGN_OR_RETURN(Formed entry,
                         FormCluster(*glance, directory.new_directory, directory.expected_cluster));
  if (!entry.founds) directory.expected_cluster = entry.cluster;
  directory.new_recovery_number = entry.recovery_number;
  options->entry = {entry.founds, entry.metadata_epoch, std::move(entry.known)};
  return true;
}

absl::Status BrokerProcess::GoOnEntering() {
  if (broker_->in_cluster()) return absl::OkStatus();
  const storage::DirectoryIdentity& made = broker_->directory().identity();
  VARVE_ASSIGN_OR_RETURN(Formed entry, FormCluster({true, made}, made.directory, made.cluster));
  broker_->SetEntry({entry.founds, entry.metadata_epoch, std::move(entry.known)});
  return absl::OkStatus();
}

// Others may start later, and ask this broker the same meanwhile.
absl::StatusOr<Formed> BrokerProcess::FormCluster(const storage::DirectoryGlance& glance,
                                                  DirectoryId directory, ClusterId wanted) {
  FormationOptions options;
  VARVE_ASSIGN_OR_RETURN(options.seeds, ParseSeeds(config_.Text("bootstrap.nodes")));
  options.self.node = NodeId(static_cast<uint32_t>(config_.Number("node_id")));
  options.self.directory = directory;
  options.self.client_address = config_.Text("advertise");
  options.self.peer_address = PeerAddress();
  options.directory_empty = glance.empty;
  options.cluster = wanted;
  formation_ = std::make_unique<Formation>(std::move(options), *peer_client_, *executors_.peers,
                                           RealClock());
  peer_door_->SetService(formation_.get());
  std::promise<absl::StatusOr<Formed>> promise;
  executors_.peers->Post([&] {
    formation_->Run(
        [](const std::string& waiting_for) {
          Log(LogLevel::kInfo, "cluster", "waiting to join or to found the cluster",
              {{"because", waiting_for}});
        },
        [&](absl::StatusOr<Formed> formed) { promise.set_value(std::move(formed)); });
  });
  absl::StatusOr<Formed> formed = promise.get_future().get();
  if (!formed.ok()) return formed;
  Log(LogLevel::kInfo, "cluster", formed->founds ? "this broker founds the cluster" : "joined",
      {{"cluster", formed->founds ? "" : formed->cluster.ToString()},
       {"metadata_epoch", formed->metadata_epoch.value()}});
  return formed;
}

}  // namespace varve::server
