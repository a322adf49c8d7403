// Clients of sessions: streams of appends, and subscriptions.
#ifndef VARVE_TESTS_SIM_SESSION_CLIENTS_H_
#define VARVE_TESTS_SIM_SESSION_CLIENTS_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/unary_clients.h"

namespace varve::sim {

// Appends to several partitions through one session at a time, within its
// credit.
class ProduceClient final : public Client, private server::ProduceEvents {
 public:
  ProduceClient(World& world, uint32_t number) : world_(world), number_(number) {}
  ~ProduceClient() override { Leave(); }
  void Act() override;
  void Leave() override;
  void CheckSettled() override;

 private:
  void OnOpened(uint32_t handle, absl::StatusOr<Opened> opened) override;
  void OnAck(uint64_t request_id, const server::ProduceResult& result) override;
  void OnCredit(server::SessionCredit more) override;
  void OnMoved(const std::string& why) override;

  void Begin();
  void OpenTopic();
  void Append();

  World& world_;
  const uint32_t number_;
  std::unique_ptr<server::ProduceSession> session_;
  uint64_t lane_ = 0;
  uint32_t last_handle_ = 0;
  std::map<uint32_t, std::string> asked_;   // handles without an answer yet
  std::map<uint32_t, std::string> opened_;  // handle to topic
  std::map<Target, std::deque<BatchNumber>> under_way_;
  std::map<BatchNumber, std::pair<Target, size_t>> sent_;  // with their bytes
  server::SessionCredit credit_;
  server::SessionCredit first_credit_;
};

// Reads several partitions through one session at a time: with little credit or
// much, fast or slow, seeking now and then.
class SubscribeClient final : public Client, private server::SubscribeEvents {
 public:
  explicit SubscribeClient(World& world) : world_(world) {}
  ~SubscribeClient() override { Leave(); }
  void Act() override;
  void Leave() override;
  void Settle() override;
  void CheckSettled() override;

 private:
  struct Handle {
    Target target;
    uint64_t generation = 0;
    std::optional<Offset> next;  // once opened
    Offset high_watermark;
    bool bad = false;  // sought to where nothing is
    bool removed = false;
  };
  void OnOpened(uint32_t handle, uint64_t generation, const Opened& opened) override;
  void OnData(uint32_t handle, uint64_t generation, Data data) override;
  void OnProgress(uint32_t handle, uint64_t generation, Offset next_offset,
                  const server::LogBounds& bounds) override;
  void OnRefused(Request request, uint32_t handle, uint64_t generation, absl::Status why) override;
  void OnEnd(uint32_t handle, uint64_t generation, Offset next_offset, absl::Status why) override;

  void Add();
  void Seek();
  void Grant(server::SessionCredit more);
  Handle* Find(uint32_t handle, uint64_t generation);

  World& world_;
  std::unique_ptr<server::SubscribeSession> session_;
  uint32_t last_handle_ = 0;
  std::map<uint32_t, Handle> handles_;
  server::SessionCredit credit_;  // what the broker may still send
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_SESSION_CLIENTS_H_
