#include "tests/sim/cluster/world.h"

#include <charconv>

#include "common/error_detail.h"

namespace varve::clustersim {

World::World(const ClusterOptions& drawn)
    : options(drawn),
      cluster(drawn.seed, drawn.brokers, drawn.node, drawn.links),
      random(SeededRandom(drawn.seed ^ 0xc1a5)),
      executor(cluster.scheduler.NewExecutor("clients")) {
  for (uint32_t i = 0; i < options.topics; ++i) WantTopic();
  for (uint32_t i = 0; i < options.readers; ++i) readers_.push_back(std::make_unique<Reader>());
}

World::~World() {
  for (size_t i = 0; i < cluster.size(); ++i) cluster.node(i).Crash();
  executor.reset();
}

void World::WantTopic() { topics[StrCat("t", ++topics_made_)] = {{}, options.partitions}; }

void World::Crash(size_t node, bool power_loss) {
  Note(power_loss ? "power loss" : "crash", node);
  cluster.node(node).Crash(power_loss);
  std::vector<uint64_t> lost;
  for (const auto& [id, request] : requests_)
    if (request.node == node) lost.push_back(id);
  for (const uint64_t id : lost) executor->Post([this, id] { Lose(id); });
}

void World::Lose(uint64_t id) {
  auto request = requests_.extract(id);
  if (!request.empty()) request.mapped().lose(MakeError(Reason::OUTCOME_UNKNOWN, "no answer came"));
}

std::vector<Place> World::Places() const {
  std::vector<Place> out;
  for (const auto& [name, topic] : topics) {
    if (topic.state != KnownTopic::State::kExists) continue;
    for (uint32_t p = 0; p < topic.partitions; ++p) out.push_back({name, PartitionId(p)});
  }
  return out;
}

std::optional<Place> World::AnyPlace() {
  std::vector<Place> all = Places();
  if (all.empty()) return std::nullopt;
  return std::move(all[random->Below(all.size())]);
}

size_t World::Route(const std::string& what) {
  const auto at = routes_.find(what);
  const size_t node = at != routes_.end() ? at->second : random->Below(cluster.size());
  if (!Serves(node)) routes_.erase(what);
  return node;
}

void World::Learn(const std::string& what, size_t asked, const absl::Status& status) {
  if (status.ok()) {
    routes_[what] = asked;
    return;
  }
  routes_.erase(what);
  const std::string hint = ErrorDetail("leader_node", status);
  uint32_t node = 0;
  std::from_chars(hint.data(), hint.data() + hint.size(), node);
  if (node >= 1 && node <= cluster.size()) routes_[what] = node - 1;
}

void World::Arm(bool tends, std::function<void()> act) {
  const auto spread = static_cast<uint64_t>(options.think) * 2;
  executor->RunAt(Now() + static_cast<Nanos>(1 + random->Below(spread)),
                  [this, tends, act = std::move(act)]() mutable {
                    if (working_ || tends) act();
                    Arm(tends, std::move(act));
                  });
}

void World::Work() {
  working_ = true;
  if (std::exchange(armed_, true)) return;
  for (uint32_t i = 0; i < options.writers; ++i) Arm(false, [this, i] { Write(i); });
  for (const auto& reader : readers_) Arm(false, [this, reader = reader.get()] { Read(*reader); });
  Arm(true, [this] { TendTopics(); });
}

void World::CheckCommitted(size_t node, const Place& place, Offset end) {
  if (!cluster.node(node).has_broker()) return;
  server::Broker& broker = cluster.node(node).broker();
  const auto group = broker.catalogue().FindGroup(place.topic, place.partition);
  if (!group.ok()) return;
  broker.partitions().With(*group, [this, node, place, end](server::Partition* partition) {
    if (partition != nullptr && partition->core().high_watermark() < end)
      oracle.Violate("broker ", node + 1, " let somebody read ", place.topic, "/", place.partition,
                     " up to offset ", end, ", and ", partition->core().high_watermark(),
                     " is the end of what is committed");
  });
}

}  // namespace varve::clustersim
