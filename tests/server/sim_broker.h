// SimBroker: one broker on simulated executors, clock and disk, for tests of the in-process
// service.
#ifndef VARVE_TESTS_SERVER_SIM_BROKER_H_
#define VARVE_TESTS_SERVER_SIM_BROKER_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/random.h"
#include "common/record_batch_builder.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "server/broker.h"
#include "storage/state_store.h"

namespace varve::server {

// Single-threaded. Started by the constructor; failures are GoogleTest failures.
class SimBroker {
 public:
  explicit SimBroker(uint64_t seed)
      : scheduler(seed), random_(SeededRandom(seed)), disk_(&scheduler, {.seed = seed}) {
    const absl::Status started = Start();
    EXPECT_TRUE(started.ok()) << started;
  }
  // The process ends, `meanwhile` may change the disk, and another begins. The broker exists only
  // when that is OK.
  absl::Status Restart(absl::FunctionRef<void(SimFileSystem&)> meanwhile) {
    broker_.reset();
    executors_.clear();
    disk_.ProcessCrash();
    meanwhile(disk_);
    return Start();
  }
  ~SimBroker() {
    broker_.reset();
    executors_.clear();
  }

  RequestContext Context(Nanos timeout = 30 * kSecond) {
    RequestContext context;
    context.listener = "sim";
    context.deadline = scheduler.Now() + timeout;
    context.cancellation = std::make_shared<Cancellation>();
    return context;
  }
  // Runs until the request is answered.
  template <class Answer, class Request>
  absl::StatusOr<Answer> Ask(void (BrokerService::*method)(RequestContext, Request, Reply<Answer>),
                             Request request) {
    std::optional<absl::StatusOr<Answer>> answer;
    (service().*method)(Context(), std::move(request), [&](absl::StatusOr<Answer> got) {
      EXPECT_FALSE(answer.has_value()) << "answered twice";
      answer = std::move(got);
    });
    EXPECT_FALSE(answer.has_value()) << "answered from within the call";
    EXPECT_TRUE(scheduler.RunUntil([&] { return answer.has_value(); }, 60 * kSecond));
    return *std::move(answer);
  }
  void CreateTopic(const std::string& name, uint32_t partitions) {
    CreateTopicRequest request;
    request.name = name;
    request.partitions = partitions;
    const auto created = Ask(&BrokerService::CreateTopic, std::move(request));
    EXPECT_TRUE(created.ok()) << created.status();
  }
  void Append(const std::string& topic, uint32_t partition, const std::string& value) {
    ProduceRequest request;
    request.topic = topic;
    PlainRecord record;
    record.value = value;
    request.items.push_back({PartitionId(partition), std::vector<PlainRecord>{record}});
    const auto reply = Ask(&BrokerService::Produce, std::move(request));
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_TRUE(reply->results[0].status.ok()) << reply->results[0].status;
  }

  BrokerService& service() { return broker_->service(); }
  Broker& broker() { return *broker_; }
  SimFileSystem& disk() { return disk_; }

  SimScheduler scheduler;

 private:
  absl::Status Start() {
    BrokerExecutors executors;
    executors.shards = {Make("shard0"), Make("shard1")};
    executors.storage.journal = Make("journal");
    executors.storage.segments = Make("segments");
    executors.storage.sync = Make("sync");
    executors.storage.reader = Make("reader");
    executors.background = Make("background");
    BrokerOptions options;
    options.directory.path = "data";
    options.directory.node = NodeId(1);
    auto opened =
        Broker::Open(disk_, scheduler.clock(), *random_, storage::OpenMemoryStateStore(state_disk_),
                     options, std::move(executors));
    if (!opened.ok()) return opened.status();
    broker_ = std::move(*opened);
    std::optional<absl::Status> ready;
    broker_->Start([&](absl::Status status) { ready = std::move(status); });
    EXPECT_TRUE(scheduler.RunUntil([&] { return ready.has_value(); }, 60 * kSecond));
    return ready.value_or(absl::UnknownError("not ready in time"));
  }
  Executor* Make(const std::string& name) {
    executors_.push_back(scheduler.NewExecutor(name));
    return executors_.back().get();
  }

  const std::unique_ptr<Random> random_;
  SimFileSystem disk_;
  std::shared_ptr<storage::MemoryStateDisk> state_disk_ = storage::NewMemoryStateDisk();
  std::vector<std::unique_ptr<Executor>> executors_;
  std::unique_ptr<Broker> broker_;
};

}  // namespace varve::server

#endif  // VARVE_TESTS_SERVER_SIM_BROKER_H_
