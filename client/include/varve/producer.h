// Producer: sends records in batches and reports what became of each.
#ifndef VARVE_PRODUCER_H_
#define VARVE_PRODUCER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "varve/api.h"
#include "varve/client.h"
#include "varve/record.h"
#include "varve/status.h"

namespace varve {
namespace client {
class ProducerCore;
}
inline namespace v0 {

// What Send does when the producer's memory is full.
enum class WhenFull { kBlock, kFail };

struct VARVE_API ProducerOptions {
  // A batch of this size is sent without lingering.
  size_t batch_bytes = 128 * 1024;
  // What a batch may grow to while the one before it is under way. Also bounded by the topic.
  size_t batch_max_bytes = 1024 * 1024;
  // How long a batch waits for more records while the producer is busy. An idle one sends at once.
  std::chrono::microseconds linger{2'000};
  Compression compression = Compression::kNone;
  // Records accepted and not yet reported, in bytes.
  size_t buffer_bytes = 32 * 1024 * 1024;
  WhenFull when_full = WhenFull::kBlock;
  // From Send to the report, waiting and retries included; also bounds how long Send blocks.
  std::chrono::milliseconds delivery_timeout{120'000};
  // Whether a batch whose fate is unknown (its connection broke) is sent again. True: at least
  // once, duplicates are possible. False: at most once, reported as OUTCOME_UNKNOWN.
  bool retry_unknown = true;
  // Batches of one partition under way at a time. Reserved: only 1 keeps the order when one fails.
  int max_in_flight = 1;

  [[nodiscard]] Status Validate() const;
};

struct DeliveryReport {
  std::string_view topic;  // valid during the call
  uint32_t partition = 0;
  int64_t offset = -1;        // -1 when it failed
  int64_t timestamp_ms = -1;  // when the broker appended it
  Status status;
};
// Called once for each accepted record on the client's thread; must not block. It may send further
// records: then a full buffer fails instead of blocking.
using DeliveryCallback = std::function<void(const DeliveryReport&)>;

struct Delivery {
  uint32_t partition = 0;
  int64_t offset = -1;
  int64_t timestamp_ms = -1;
};

struct ProducerStats {
  uint64_t records_accepted = 0;
  uint64_t records_delivered = 0;
  uint64_t records_failed = 0;
  uint64_t batches_sent = 0;  // resent ones included
  uint64_t batches_resent = 0;
  uint64_t batch_bytes_sent = 0;
  // Records of batches that were sent again although the broker may have had them.
  uint64_t possible_duplicates = 0;
  uint64_t reconnects = 0;
  size_t buffered_bytes = 0;
};

// Thread-safe. Records of one partition are appended in the order in which Send accepted them: at
// most one batch per partition is under way, and a failed one is sent again before its successors.
// A record whose report is a success is durable on a majority. A batch that fails for good does not
// hold back the ones behind it.
class VARVE_API Producer {
 public:
  // INVALID_CONFIG when the options do not validate.
  static Result<Producer> Create(const Client& client, ProducerOptions options = {});
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;
  // Close(5 s).
  ~Producer();

  // Accepts a record for sending; `callback` reports it later. On failure the record was not
  // accepted and the callback is never called: INVALID_REQUEST, BATCH_TOO_LARGE, UNKNOWN_PARTITION,
  // OVERLOADED (memory full) or SHUTTING_DOWN (closed).
  Status Send(const ProducerRecord& record, DeliveryCallback callback = {});
  // Send, and wait for the report. Never from a callback.
  Result<Delivery> SendSync(const ProducerRecord& record);
  // Sends what lingers and waits until every accepted record has been reported. DEADLINE_EXCEEDED
  // when that takes longer; the records stay on their way.
  Status Flush(std::chrono::milliseconds timeout);
  // Takes no more records, flushes, then fails what is left (DEADLINE_EXCEEDED). Returns at the
  // latest shortly after `timeout`, whatever the network does. Further calls return at once.
  Status Close(std::chrono::milliseconds timeout);
  [[nodiscard]] ProducerStats stats() const;

 private:
  explicit Producer(std::shared_ptr<client::ProducerCore> core);
  std::shared_ptr<client::ProducerCore> core_;
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_PRODUCER_H_
