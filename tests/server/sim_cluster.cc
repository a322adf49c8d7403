#include "tests/server/sim_cluster.h"

#include <algorithm>

#include "common/error.h"

namespace varve::server {
namespace {

constexpr Nanos kCallDelay = 200 * kMicrosecond;

}  // namespace

class SimPeerCalls::Client final : public PeerClient {
 public:
  explicit Client(SimPeerCalls& calls) : calls_(calls) {}
  // Whose process died hears nothing any more.
  ~Client() override { *lives_ = false; }
  void Hello(const std::string& address, HelloRequest request, Nanos timeout,
             Reply<HelloReply> reply) override {
    Call(address, &PeerService::Hello, std::move(request), timeout, std::move(reply));
  }
  void Join(const std::string& address, JoinRequest request, Nanos timeout,
            Reply<JoinReply> reply) override {
    Call(address, &PeerService::Join, std::move(request), timeout, std::move(reply));
  }
  void Report(const std::string& address, ReportRequest request, Nanos timeout,
              Reply<ReportReply> reply) override {
    Call(address, &PeerService::Report, std::move(request), timeout, std::move(reply));
  }
  void Transfer(const std::string& address, TransferRequest request, Nanos timeout,
                Reply<TransferReply> reply) override {
    Call(address, &PeerService::Transfer, std::move(request), timeout, std::move(reply));
  }

 private:
  template <class Request, class Answer>
  void Call(const std::string& address, void (PeerService::*method)(Request, Reply<Answer>),
            Request request, Nanos timeout, Reply<Answer> reply) {
    Executor& executor = *calls_.executor_;
    // Answered by whoever is first: the other side or the timeout.
    auto once = std::make_shared<Reply<Answer>>(std::move(reply));
    const auto answer = [once, lives = lives_](absl::StatusOr<Answer> got) {
      if (*lives && *once) std::exchange(*once, nullptr)(std::move(got));
    };
    executor.RunAt(calls_.scheduler_.Now() + timeout,
                   [answer] { answer(MakeError(Reason::DEADLINE_EXCEEDED, "no answer in time")); });
    executor.RunAt(calls_.scheduler_.Now() + kCallDelay, [&calls = calls_, &executor, address,
                                                          method, request = std::move(request),
                                                          answer]() mutable {
      const auto at = calls.services_.find(address);
      if (at == calls.services_.end())
        return answer(MakeError(Reason::UNAVAILABLE, "connection refused"));
      (at->second->*method)(std::move(request), [&executor, answer](absl::StatusOr<Answer> got) {
        executor.Post([answer, got = std::move(got)]() mutable { answer(std::move(got)); });
      });
    });
  }
  SimPeerCalls& calls_;
  const std::shared_ptr<bool> lives_ = std::make_shared<bool>(true);
};

std::unique_ptr<PeerClient> SimPeerCalls::NewClient() { return std::make_unique<Client>(*this); }

std::string SimNode::PeerAddress(NodeId id) { return StrCat("node", id, ":9641"); }
std::string SimNode::ClientAddress(NodeId id) { return StrCat("node", id, ":9640"); }

SimNode::SimNode(SimScheduler& scheduler, sim::SimNetwork& network, SimPeerCalls& calls, NodeId id,
                 SimNodeOptions options)
    : scheduler_(scheduler),
      network_(network),
      calls_(calls),
      id_(id),
      options_(std::move(options)),
      random_(SeededRandom(scheduler.random().Next())),
      clock_(scheduler.clock()) {
  Wipe();
}

SimNode::~SimNode() { Crash(); }

void SimNode::Wipe() {
  disk_ = std::make_unique<SimFileSystem>(
      &scheduler_, SimFileSystem::Options{.seed = random_->Next(), .trace_id = id_.value()});
  state_disk_ = storage::NewMemoryStateDisk();
}

DiskImage SimNode::TakeImage() {
  DiskImage image;
  varve::TakeImage(*disk_, "data", &image);
  return image;
}

void SimNode::RestoreImage(const DiskImage& image) {
  varve::RestoreImage(*disk_, image);
  state_disk_ = storage::NewMemoryStateDisk();
}

Executor* SimNode::Make(const std::string& name) {
  executors_.push_back(scheduler_.NewExecutor(StrCat(name, "-", id_)));
  return executors_.back().get();
}

void SimNode::Start() {
  running_ = true;
  ready_ = false;
  failure_ = absl::OkStatus();
  waits_for_.clear();
  home_ = Make("home");
  client_ = calls_.NewClient();
  const auto glance = storage::GlanceAtDirectory(*disk_, "data");
  ASSERT_TRUE(glance.ok()) << glance.status();
  self_ = {id_, {}, ClientAddress(id_), PeerAddress(id_)};
  for (uint8_t& byte : self_.directory.bytes) byte = static_cast<uint8_t>(random_->Next());
  if (glance->identity) return OpenBroker(nullptr);
  Form({}, glance->empty, [this](const Formed& formed) { OpenBroker(&formed); });
}

void SimNode::Form(ClusterId wanted, bool empty, std::function<void(const Formed&)> then) {
  formation_ = std::make_unique<Formation>(
      FormationOptions{
          .self = self_, .seeds = options_.seeds, .cluster = wanted, .directory_empty = empty},
      *client_, *home_, clock_);
  calls_.Serve(PeerAddress(id_), formation_.get());
  home_->Post([this, then = std::move(then)]() mutable {
    formation_->Run([this](const std::string& what) { waits_for_ = what; },
                    [this, then = std::move(then)](absl::StatusOr<Formed> formed) {
                      if (!formed.ok()) {
                        failure_ = formed.status();
                        return;
                      }
                      then(*formed);
                    });
  });
}

void SimNode::OpenBroker(const Formed* formed) {
  BrokerExecutors executors;
  for (uint32_t i = 0; i < options_.shards; ++i) executors.shards.push_back(Make("shard"));
  executors.storage.journal = Make("journal");
  executors.storage.segments = Make("segments");
  executors.storage.sync = Make("sync");
  executors.storage.reader = Make("reader");
  executors.storage.watch = Make("watch");
  executors.background = Make("background");
  executors.peers = Make("peers");
  BrokerOptions options;
  options.directory = options_.directory;
  options.directory.path = "data";
  options.directory.node = id_;
  options.directory.scrub_period = options_.scrub_period;
  options.advertised_address = ClientAddress(id_);
  options.peer_address = PeerAddress(id_);
  options.make_transport = [this](const storage::DataDirectory&) {
    return network_.NewTransport(id_);
  };
  options.peer_client = client_.get();
  options.entry.known = BrokersOf(options_.seeds);
  if (formed != nullptr) {
    options.directory.new_directory = self_.directory;
    options.directory.expected_cluster = formed->cluster;
    options.directory.new_recovery_number = formed->recovery_number;
    options.entry = {formed->founds, formed->metadata_epoch, formed->known};
  }
  auto opened = Broker::Open(*disk_, clock_, *random_, storage::OpenMemoryStateStore(state_disk_),
                             std::move(options), std::move(executors));
  if (!opened.ok()) {
    failure_ = opened.status();
    return;
  }
  broker_ = std::move(*opened);
  if (formed != nullptr || broker_->in_cluster()) return StartBroker();
  // The process before died between making its directory and entering the cluster.
  const storage::DirectoryIdentity& made = broker_->directory().identity();
  self_.directory = made.directory;
  Form(made.cluster, true, [this](const Formed& entry) {
    broker_->SetEntry({entry.founds, entry.metadata_epoch, entry.known});
    StartBroker();
  });
}

void SimNode::StartBroker() {
  waits_for_ = "the broker's start";
  calls_.Serve(PeerAddress(id_), broker_->peers());
  broker_->Start([this](absl::Status status) {
    failure_ = status;
    ready_ = status.ok();
  });
}

void SimNode::Crash(bool power_loss) {
  if (!running_) return;
  calls_.Leave(PeerAddress(id_));
  broker_.reset();
  formation_.reset();
  client_.reset();
  executors_.clear();
  if (power_loss) {
    disk_->PowerLoss(*random_);
  } else {
    disk_->ProcessCrash();
  }
  running_ = ready_ = frozen_ = false;
}

void SimNode::Freeze() {
  frozen_ = true;
  for (const auto& executor : executors_) SimScheduler::Freeze(*executor);
}

void SimNode::Thaw() {
  frozen_ = false;
  for (const auto& executor : executors_) SimScheduler::Thaw(*executor);
}

void SimNode::Stop() {
  const absl::Status stopped = TryStop();
  EXPECT_TRUE(stopped.ok()) << "node " << id_ << ": " << stopped;
}

absl::Status SimNode::TryStop() {
  std::optional<absl::Status> stopped;
  broker_->Stop([&](absl::Status status) { stopped = std::move(status); });
  scheduler_.RunUntil([&] { return stopped.has_value(); }, 60 * kSecond);
  Crash();
  return stopped.value_or(MakeError(Reason::DEADLINE_EXCEEDED, "node ", id_, " does not stop"));
}

SimCluster::SimCluster(uint64_t seed, size_t nodes, SimNodeOptions options,
                       const sim::SimNetworkOptions& links)
    : scheduler(seed), network(scheduler, links), calls_(scheduler), options_(std::move(options)) {
  for (uint32_t i = 1; i <= nodes; ++i)
    options_.seeds.push_back({NodeId(i), SimNode::PeerAddress(NodeId(i))});
  while (nodes_.size() < nodes) AddNode();
}

size_t SimCluster::AddNode() {
  const NodeId id(static_cast<uint32_t>(nodes_.size() + 1));
  nodes_.push_back(std::make_unique<SimNode>(scheduler, network, calls_, id, options_));
  nodes_.back()->Start();
  return nodes_.size() - 1;
}

bool SimCluster::AwaitReady(Nanos limit) {
  const MonoTime end = scheduler.Now() + limit;
  while (scheduler.Now() < end) {
    const bool all = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
      return !node->running() || node->ready();
    });
    if (all) return true;
    scheduler.RunFor(5 * kMillisecond);
  }
  for (const auto& node : nodes_)
    if (node->running() && !node->ready())
      ADD_FAILURE() << "node " << node->id() << " is not ready: " << node->failure();
  return false;
}

RequestContext SimCluster::Context(Nanos timeout) {
  RequestContext context;
  context.listener = "sim";
  context.deadline = scheduler.Now() + timeout;
  context.cancellation = std::make_shared<Cancellation>();
  return context;
}

std::optional<size_t> SimCluster::Controller() {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->ready()) continue;
    const auto leader = nodes_[i]->broker().cluster_view().LeaderOf(kMetadataGroup);
    if (leader && leader->node == nodes_[i]->id()) return i;
  }
  return std::nullopt;
}

absl::StatusOr<TopicInfo> SimCluster::CreateTopic(const std::string& name, uint32_t partitions,
                                                  uint32_t replicas) {
  absl::Status last = absl::UnavailableError("no controller");
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (const auto controller = Controller()) {
      CreateTopicRequest request;
      request.name = name;
      request.partitions = partitions;
      request.replication_factor = replicas;
      auto created = Ask(*controller, &BrokerService::CreateTopic, std::move(request));
      if (created.ok() || !InfoOf(ReasonOf(created.status())).retryable) return created;
      last = created.status();
    }
    scheduler.RunFor(50 * kMillisecond);
  }
  return last;
}

void SimCluster::MakeSegments(const std::string& name, int batches) {
  CreateTopicRequest request;
  request.name = name;
  request.partitions = 1;
  request.replication_factor = static_cast<uint32_t>(nodes_.size());
  request.config.segment_bytes = 64 << 10;
  ASSERT_TRUE(Ask(*Controller(), &BrokerService::CreateTopic, request).ok());
  for (int i = 0; i < batches; ++i)
    ASSERT_TRUE(Append(name, 0, StrCat(i, ":", std::string(10'000, 'x'))).ok());
  scheduler.RunFor(12 * kSecond);
}

void SimCluster::OnReplica(size_t i, GroupId group, std::function<void(Partition*)> use) {
  bool done = false;
  nodes_[i]->broker().partitions().With(group, [&](Partition* partition) {
    use(partition);
    done = true;
  });
  EXPECT_TRUE(scheduler.RunUntil([&] { return done; }, kSecond));
}

std::optional<size_t> SimCluster::LeaderOf(const std::string& topic, uint32_t partition) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i]->ready()) continue;
    const auto group = nodes_[i]->broker().catalogue().FindGroup(topic, PartitionId(partition));
    if (!group.ok()) continue;
    std::optional<bool> serving;
    nodes_[i]->broker().partitions().With(
        *group, [&](Partition* found) { serving = found != nullptr && found->serving(); });
    scheduler.RunUntil([&] { return serving.has_value(); }, kSecond);
    if (serving.value_or(false)) return i;
  }
  return std::nullopt;
}

absl::StatusOr<ProduceResult> SimCluster::Append(const std::string& topic, uint32_t partition,
                                                 const std::string& value, Nanos patience) {
  const MonoTime end = scheduler.Now() + patience;
  absl::Status last = absl::UnavailableError("no leader");
  while (scheduler.Now() < end) {
    if (const auto leader = LeaderOf(topic, partition)) {
      ProduceRequest request;
      request.topic = topic;
      PlainRecord record;
      record.value = value;
      request.items.push_back({PartitionId(partition), std::vector<PlainRecord>{record}});
      const auto reply = Ask(*leader, &BrokerService::Produce, std::move(request));
      if (reply.ok() && reply->results[0].status.ok()) return reply->results[0];
      last = reply.ok() ? reply->results[0].status : reply.status();
    }
    scheduler.RunFor(10 * kMillisecond);
  }
  return last;
}

absl::StatusOr<std::vector<std::string>> SimCluster::ReadAll(const std::string& topic,
                                                             uint32_t partition) {
  std::vector<std::string> out;
  Offset from{0};
  for (int attempt = 0; attempt < 500; ++attempt) {
    const auto leader = LeaderOf(topic, partition);
    if (!leader) {
      scheduler.RunFor(20 * kMillisecond);
      continue;
    }
    FetchRequest request;
    request.plain_records = true;
    request.partitions.push_back({topic, PartitionId(partition), from, 0});
    auto reply = Ask(*leader, &BrokerService::Fetch, std::move(request));
    if (!reply.ok()) return reply.status();
    const FetchResult& result = reply->results[0];
    if (!result.status.ok()) {
      if (!InfoOf(ReasonOf(result.status)).retryable) return result.status;
      scheduler.RunFor(20 * kMillisecond);
      continue;
    }
    if (result.records.empty()) return out;
    for (const PlainRecord& record : result.records) out.push_back(record.value.value_or(""));
    from = result.next_offset;
  }
  return absl::UnavailableError("no leader");
}

std::vector<NodeId> SimCluster::Ids() const {
  std::vector<NodeId> out;
  out.reserve(nodes_.size());
  for (const auto& node : nodes_) out.push_back(node->id());
  return out;
}

}  // namespace varve::server
