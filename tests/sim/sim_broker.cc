#include "tests/sim/sim_broker.h"

#include <optional>
#include <utility>

#include "common/error.h"
#include "tests/sim/defective_files.h"

namespace varve::sim {
namespace {

constexpr Nanos kBrokerPatience = 600 * kSecond;

}  // namespace

SimBroker::SimBroker(const SimOptions& options)
    : options_(options),
      scheduler_(options.seed, {.max_post_delay = options.post_delay}),
      disk_(&scheduler_, {.seed = options.seed}),
      files_(PlantDefect(disk_, options.defect, options.seed)),
      random_(SeededRandom(options.seed ^ 0xb20c)),
      crash_random_(SeededRandom(options.seed ^ 0xc2a5)),
      fold_disk_(storage::NewMemoryStateDisk()) {}

SimBroker::~SimBroker() { Kill(); }

absl::Status SimBroker::Start() {
  const auto make = [this](const char* name) {
    return executors_.emplace_back(scheduler_.NewExecutor(name)).get();
  };
  server::BrokerExecutors executors;
  for (uint32_t i = 0; i < options_.shards; ++i) executors.shards.push_back(make("shard"));
  executors.storage.journal = make("journal");
  executors.storage.segments = make("segments");
  executors.storage.sync = make("sync");
  executors.storage.reader = make("reader");
  executors.background = make("background");
  auto opened = server::Broker::Open(*files_, scheduler_.clock(), *random_,
                                     storage::OpenMemoryStateStore(fold_disk_),
                                     {.directory = options_.directory}, std::move(executors));
  if (!opened.ok()) {
    Kill();
    return AddContext(opened.status(), "opening the data directory");
  }
  broker_ = *std::move(opened);
  std::optional<absl::Status> ready;
  broker_->Start([&ready](absl::Status status) { ready = std::move(status); });
  if (!scheduler_.RunUntil([&] { return ready.has_value(); }, kBrokerPatience))
    return MakeError(Reason::INTERNAL, "the broker does not become ready");
  return *ready;
}

void SimBroker::Crash(CrashKind kind) {
  scheduler_.Trace("crash", static_cast<uint64_t>(kind));
  if (kind == CrashKind::kPower)
    disk_.PowerLoss(*crash_random_);
  else
    disk_.ProcessCrash();
  Kill();
}

absl::Status SimBroker::Stop() {
  std::optional<absl::Status> stopped;
  broker_->Stop([&stopped](absl::Status status) { stopped = std::move(status); });
  if (!scheduler_.RunUntil([&] { return stopped.has_value(); }, kBrokerPatience))
    return MakeError(Reason::INTERNAL, "the broker does not stop");
  return *stopped;
}

void SimBroker::End() {
  Kill();
  disk_.ProcessCrash();
}

void SimBroker::LoseFolds() { fold_disk_ = storage::NewMemoryStateDisk(); }

absl::StatusOr<uint64_t> SimBroker::FoldHash() {
  return broker_->state_store().HashFold(kMetadataGroup, storage::StateStore::Hashed::kContent);
}

// In the order in which varved takes things down, but with no turn given to
// anybody.
void SimBroker::Kill() {
  broker_.reset();
  executors_.clear();
}

}  // namespace varve::sim
