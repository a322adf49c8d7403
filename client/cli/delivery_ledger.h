// DeliveryLedger: what became of the records of one `varve produce`.
#ifndef VARVE_CLIENT_CLI_DELIVERY_LEDGER_H_
#define VARVE_CLIENT_CLI_DELIVERY_LEDGER_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "client/cli/command.h"
#include "varve/producer.h"

namespace varve::cli {

// Thread-safe: reports come on the client's thread.
class DeliveryLedger {
 public:
  explicit DeliveryLedger(std::string topic) : topic_(std::move(topic)) {}

  // A record that was accepted for sending has been reported. `bytes`: of key and value.
  void Add(const DeliveryReport& report, uint64_t bytes);
  // A record that was not even accepted, or input that could not be read.
  void AddRefused(const Status& status);

  [[nodiscard]] uint64_t failed() const;
  // OK; the first error; or, when some were delivered, the first error with exit 8.
  [[nodiscard]] CommandEnd End() const;
  // "delivered 3 records, 42 B, to orders: partition 0 offsets 5..6, partition 1 offset 9".
  [[nodiscard]] std::string Text() const;
  // {"topic":..,"records":..,"bytes":..,"failed":..,"partitions":[{"partition":0,"records":2,
  // "first_offset":5,"last_offset":6}]}
  [[nodiscard]] std::string Json() const;

 private:
  struct PartitionRow {
    uint64_t records = 0;
    int64_t first_offset = -1;
    int64_t last_offset = -1;
  };
  const std::string topic_;
  mutable std::mutex mutex_;
  std::map<uint32_t, PartitionRow> partitions_;
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;
  uint64_t failed_ = 0;
  Status first_error_;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_DELIVERY_LEDGER_H_
