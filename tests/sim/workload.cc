#include "tests/sim/workload.h"

#include "tests/sim/session_clients.h"

namespace varve::sim {
namespace {

// Longer than any client waits for an answer.
constexpr Nanos kSettleTime = 20 * kSecond;

}  // namespace

Workload::Workload(World& world) : world_(world) {
  uint32_t number = 0;
  for (uint32_t i = 0; i < world.options.writers; ++i)
    clients_.push_back(std::make_unique<Writer>(world, ++number));
  for (uint32_t i = 0; i < world.options.sessions; ++i)
    clients_.push_back(std::make_unique<ProduceClient>(world, ++number));
  for (uint32_t i = 0; i < world.options.readers; ++i)
    clients_.push_back(std::make_unique<Reader>(world));
  for (uint32_t i = 0; i < world.options.subscribers; ++i)
    clients_.push_back(std::make_unique<SubscribeClient>(world));
}

void Workload::Run(server::BrokerService& service) {
  world_.service = &service;
  running_ = true;
  ++round_;
  for (size_t i = 0; i < clients_.size(); ++i) Arm(i);
}

void Workload::Arm(size_t client) {
  const auto wait =
      1 + static_cast<Nanos>(world_.random->Below(2 * static_cast<uint64_t>(world_.options.think)));
  world_.executor->RunAt(world_.scheduler.Now() + wait, [this, client, round = round_] {
    if (!running_ || round != round_) return;
    clients_[client]->Act();
    Arm(client);
  });
}

void Workload::Pause() { running_ = false; }

void Workload::Leave() {
  Pause();
  for (const auto& client : clients_) client->Leave();
  world_.DropRequests();
  world_.service = nullptr;
}

void Workload::Settle() {
  Pause();
  for (const auto& client : clients_) client->Settle();
  world_.scheduler.RunFor(kSettleTime);
  if (world_.under_way() > 0)
    world_.oracle.Violate(world_.under_way(), " requests were never answered: ", world_.UnderWay());
  for (const auto& client : clients_) client->CheckSettled();
}

}  // namespace varve::sim
