// Clients of unary calls: those that write and manage topics, and those that
// read.
#ifndef VARVE_TESTS_SIM_UNARY_CLIENTS_H_
#define VARVE_TESTS_SIM_UNARY_CLIENTS_H_

#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace varve::sim {

// Acts when its turn comes, on the clients' executor.
class Client {
 public:
  virtual ~Client() = default;
  virtual void Act() = 0;
  // The broker is about to go away: closes sessions.
  virtual void Leave() {}
  // No new work, but take and ask for everything that is there.
  virtual void Settle() {}
  // After Settle, and time: what is missing is reported.
  virtual void CheckSettled() {}
};

class Writer final : public Client {
 public:
  Writer(World& world, uint32_t number) : world_(world), number_(number) {}
  void Act() override;

 private:
  void CreateTopic();
  void DeleteTopic(const std::string& topic);
  void Produce();
  void ProducePlain(const std::string& topic);
  void ProduceBad(const Target& target);
  void Answer(const std::vector<BatchNumber>& numbers,
              const absl::StatusOr<server::ProduceReply>& reply);

  World& world_;
  const uint32_t number_;
  uint32_t topics_made_ = 0;
};

class Reader final : public Client {
 public:
  explicit Reader(World& world) : world_(world) {}
  void Act() override;

 private:
  void Fetch();
  void FetchBad();
  void ListOffsets();
  void LookAtTopics();
  uint64_t Judge(const server::FetchRequest& request, const std::vector<Offset>& floors,
                 const absl::StatusOr<server::FetchReply>& reply);

  World& world_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_UNARY_CLIENTS_H_
