// DeliveryLog: what a producer reported, for tests to wait for and to compare.
#ifndef VARVE_TESTS_CLIENT_SUPPORT_DELIVERY_LOG_H_
#define VARVE_TESTS_CLIENT_SUPPORT_DELIVERY_LOG_H_

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "tests/client/support/fake_broker.h"
#include "varve/producer.h"

namespace varve::testing {

// Thread-safe. Outlives the producers that report to it.
class DeliveryLog {
 public:
  // A callback that notes the report under the value of its record.
  DeliveryCallback Callback(std::string value) {
    return [this, value = std::move(value)](const DeliveryReport& report) {
      std::lock_guard lock(mutex_);
      reports_.push_back({value, report.partition, report.offset, report.status});
      changed_.notify_all();
    };
  }
  bool AwaitSize(size_t size) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return reports_.size() >= size; });
  }
  size_t size() {
    std::lock_guard lock(mutex_);
    return reports_.size();
  }
  size_t failures() {
    std::lock_guard lock(mutex_);
    size_t failures = 0;
    for (const Report& report : reports_) failures += report.status.ok() ? 0 : 1;
    return failures;
  }
  // Of successful reports, in the order in which they came.
  std::vector<std::string> ValuesOf(uint32_t partition) {
    std::lock_guard lock(mutex_);
    std::vector<std::string> values;
    for (const Report& report : reports_) {
      if (report.partition == partition && report.status.ok()) values.push_back(report.value);
    }
    return values;
  }
  Status StatusOf(const std::string& value) {
    std::lock_guard lock(mutex_);
    for (const Report& report : reports_) {
      if (report.value == value) return report.status;
    }
    return Status(StatusParts{.reason = "NOT_REPORTED"});
  }

 private:
  struct Report {
    std::string value;
    uint32_t partition = 0;
    int64_t offset = -1;
    Status status;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Report> reports_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_CLIENT_SUPPORT_DELIVERY_LOG_H_
