// PartitionQueue: records of one partition on their way into batches.
#ifndef VARVE_CLIENT_CORE_PARTITION_QUEUE_H_
#define VARVE_CLIENT_CORE_PARTITION_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/record_batch_builder.h"
#include "varve/producer.h"
#include "varve/record.h"
#include "varve/status.h"

namespace varve::client {

// A batch and whom to tell about its records. Filled under the lock of its queue, then owned by the
// sending side alone.
struct ProducerBatch {
  explicit ProducerBatch(const BatchOptions& options) : builder(options) {}

  // Builds on first use; the bytes are kept for further attempts.
  Status Build();

  RecordBatchBuilder builder;
  std::shared_ptr<const std::string> bytes;  // once built
  // Empty when no record has one; otherwise one for each record up to the last that has.
  std::vector<DeliveryCallback> callbacks;
  uint32_t records = 0;
  size_t charged = 0;  // taken from the memory budget
  MonoTime created;
  MonoTime deadline;
  uint32_t failures = 0;       // attempts that failed
  bool maybe_applied = false;  // some attempt ended without an answer
  bool doubtful = false;       // the last one did
};

// Thread-safe. Many threads append; one side, the sender, takes batches in order. While the sender
// is not watching (asleep), the first append says that it must be woken.
class PartitionQueue {
 public:
  struct Limits {
    size_t batch_bytes = 0;      // sent without lingering
    size_t batch_max_bytes = 0;  // what an unbuilt batch may grow to
    Nanos delivery_timeout = 0;
    BatchOptions batch;
  };
  struct Appended {
    Status status;
    bool wake = false;
  };
  // What waits. All zero when nothing does.
  struct Waiting {
    bool any = false;
    bool full = false;  // a batch of batch_bytes or more
    MonoTime created;   // of the oldest
    MonoTime deadline;
  };

  explicit PartitionQueue(Limits limits) : limits_(std::move(limits)) {}

  // Copies the record to the end of the newest batch, or of a new one. The callback is consumed on
  // success only. `charged` bytes go into ProducerBatch::charged.
  Appended Append(const ProducerRecord& record, MonoTime now, size_t charged,
                  DeliveryCallback& callback);
  // Looks at what waits; when nothing does, the sender falls asleep.
  Waiting Look();
  // From now on a full batch wakes the sender. False when there is one already.
  bool Linger();
  // The oldest batch, or null.
  std::unique_ptr<ProducerBatch> Take();
  // The oldest batch if its deadline has come.
  std::unique_ptr<ProducerBatch> TakeExpired(MonoTime now);
  // Refuses records from now on; SHUTTING_DOWN.
  void Close();

 private:
  [[nodiscard]] bool FullLocked() const;
  std::unique_ptr<ProducerBatch> TakeLocked();

  const Limits limits_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<ProducerBatch>> batches_;  // the last one takes records
  bool asleep_ = true;
  bool lingering_ = false;
  bool closed_ = false;
};

// An upper bound of what a record takes in a batch.
size_t RecordBound(const ProducerRecord& record);

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_PARTITION_QUEUE_H_
