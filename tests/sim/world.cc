#include "tests/sim/world.h"

#include <algorithm>
#include <vector>

#include "common/check.h"
#include "common/error.h"
#include "common/record_batch.h"
#include "common/sim/trace_hash.h"

namespace varve::sim {
namespace {

// An answer by the deadline may still pass through a queue.
constexpr Nanos kQueueing = 20 * kMillisecond;

}  // namespace

World::World(SimScheduler& s, const SimOptions& o, Oracle& oracle_in)
    : scheduler(s),
      options(o),
      oracle(oracle_in),
      random(SeededRandom(o.seed ^ 0x3041d)),
      executor(s.NewExecutor("clients")) {}

void World::Note(std::string_view what, uint64_t detail) {
  ++operations;
  scheduler.Trace(what, detail);
}

uint64_t World::Asked(std::string_view what, uint64_t detail, MonoTime deadline) {
  Note(what, detail);
  requests_[++last_request_] = {std::string(what), deadline};
  return last_request_;
}

bool World::Answered(uint64_t request, const absl::Status& status) {
  const auto at = requests_.find(request);
  if (at == requests_.end()) {
    oracle.Violate("request ", request, " was answered twice, or by a broker that is dead");
    return false;
  }
  if (scheduler.Now() > at->second.deadline + kQueueing)
    oracle.Violate(at->second.what, " was answered ",
                   (scheduler.Now() - at->second.deadline) / kMillisecond,
                   " ms after its deadline");
  scheduler.Trace(at->second.what, static_cast<uint64_t>(ReasonOf(status)));
  requests_.erase(at);
  return true;
}

std::string World::UnderWay() const {
  std::string out;
  for (const auto& [id, request] : requests_) out += StrCat(out.empty() ? "" : ", ", request.what);
  return out;
}

server::RequestContext World::Context(Nanos patience) {
  server::RequestContext out;
  out.listener = "sim";
  out.deadline = scheduler.Now() + patience;
  out.cancellation = std::make_shared<server::Cancellation>();
  return out;
}

std::optional<std::string> World::AnyTopic() {
  std::vector<const std::string*> names;
  for (const auto& [name, topic] : oracle.topics())
    if (topic.state == KnownTopic::State::kExists) names.push_back(&name);
  if (names.empty()) return std::nullopt;
  return *names[random->Below(names.size())];
}

std::optional<Target> World::AnyTarget() {
  const auto topic = AnyTopic();
  if (!topic) return std::nullopt;
  return Target{
      *topic,
      PartitionId(static_cast<uint32_t>(random->Below(oracle.topics().at(*topic).partitions)))};
}

KnownTopic::State World::StateOf(const std::string& topic) const {
  const auto at = oracle.topics().find(topic);
  return at == oracle.topics().end() ? KnownTopic::State::kDeleted : at->second.state;
}

uint32_t World::DrawValueBytes() {
  const uint32_t most = random->OneIn(options.large_one_in) ? 32 * 1024 : options.max_value_bytes;
  return Oracle::kMinValueBytes + static_cast<uint32_t>(random->Below(most));
}

uint32_t World::DrawRecords() {
  return 1 + static_cast<uint32_t>(random->Below(options.max_batch_records));
}

World::NewBatch World::MakeBatch(uint32_t client, uint64_t lane, const Target& target) {
  SentBatch sent;
  sent.client = client;
  sent.lane = lane;
  sent.topic = target.topic;
  sent.partition = target.partition;
  sent.value_bytes = DrawValueBytes();
  sent.records = sent.value_bytes > 4096 ? 1 : DrawRecords();
  constexpr Codec kCodecs[] = {Codec::kNone,   Codec::kNone, Codec::kGzip,
                               Codec::kSnappy, Codec::kLz4,  Codec::kZstd};
  RecordBatchBuilder builder({.codec = kCodecs[random->Below(std::size(kCodecs))]});
  NewBatch out;
  out.number = oracle.Send(sent);
  for (uint32_t i = 0; i < sent.records; ++i) {
    const std::string value = Oracle::Value(out.number, i, sent.value_bytes);
    const absl::Status added =
        builder.Add(scheduler.clock().Wall(), std::nullopt, std::string_view(value));
    VARVE_CHECK(added.ok(), MessageOf(added));
  }
  out.bytes = builder.Build().value();
  oracle.SetCrc(out.number, RecordBatchView::Parse(out.bytes)->crc());
  return out;
}

void World::Damage(NewBatch* batch) {
  oracle.Spoil(batch->number);
  batch->bytes[kBatchCrcCoversFrom + random->Below(batch->bytes.size() - kBatchCrcCoversFrom)] ^=
      static_cast<char>(1 << random->Below(8));
}

}  // namespace varve::sim
