// LocalSubscribeSession: records of this broker's partitions, pushed as fast as credit allows.
#ifndef VARVE_SERVER_SERVICE_SUBSCRIBE_SESSION_H_
#define VARVE_SERVER_SERVICE_SUBSCRIBE_SESSION_H_

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/service/local_service.h"

namespace varve::server {

// One read is under way at a time, taken in turn by the partitions that have data, so that credit
// is overdrawn by one message at most and no partition starves another. A partition at its high
// watermark waits for the next commit and costs nothing meanwhile.
class LocalSubscribeSession final : public SubscribeSession {
 public:
  LocalSubscribeSession(const LocalServiceParts& parts, SubscribeOptions options,
                        MemoryPermit permit, SubscribeEvents& events);
  ~LocalSubscribeSession() override { Close(); }

  void AddCredit(SessionCredit more) override;
  void Add(SubscribePartition partition) override;
  void Seek(uint32_t handle, uint64_t generation, Position to) override;
  void Remove(uint32_t handle) override;
  void Close() override;

  static constexpr size_t kMaxPartitions = 10'000;
  // A silent stream tells where it is at least so often.
  static constexpr Nanos kProgressInterval = 10 * kSecond;

 private:
  class Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_SUBSCRIBE_SESSION_H_
