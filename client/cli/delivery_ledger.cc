#include "client/cli/delivery_ledger.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

// More are summed up: a topic may have thousands.
constexpr size_t kPartitionsInText = 16;

std::string Plural(uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

void DeliveryLedger::Add(const DeliveryReport& report, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (!report.status.ok()) {
    ++failed_;
    if (first_error_.ok()) first_error_ = report.status;
    return;
  }
  ++records_;
  bytes_ += bytes;
  PartitionRow& row = partitions_[report.partition];
  row.first_offset = row.records == 0 ? report.offset : std::min(row.first_offset, report.offset);
  row.last_offset = std::max(row.last_offset, report.offset);
  ++row.records;
}

void DeliveryLedger::AddRefused(const Status& status) {
  std::lock_guard lock(mutex_);
  ++failed_;
  if (first_error_.ok()) first_error_ = status;
}

uint64_t DeliveryLedger::failed() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

CommandEnd DeliveryLedger::End() const {
  std::lock_guard lock(mutex_);
  if (first_error_.ok()) return Status();
  return records_ > 0 ? CommandEnd(kExitPartial, first_error_) : CommandEnd(first_error_);
}

std::string DeliveryLedger::Text() const {
  std::lock_guard lock(mutex_);
  std::string text =
      "delivered " + Plural(records_, "record") + ", " + HumanSize(bytes_) + ", to " + topic_;
  size_t shown = 0;
  for (const auto& [partition, row] : partitions_) {
    if (shown == kPartitionsInText) {
      text += " and " + Plural(partitions_.size() - shown, "partition") + " more";
      break;
    }
    text += (shown++ == 0 ? ": partition " : ", partition ") + std::to_string(partition);
    text += row.first_offset == row.last_offset ? " offset " + std::to_string(row.first_offset)
                                                : " offsets " + std::to_string(row.first_offset) +
                                                      ".." + std::to_string(row.last_offset);
  }
  if (failed_ > 0) text += "; failed: " + Plural(failed_, "record");
  return text;
}

std::string DeliveryLedger::Json() const {
  std::lock_guard lock(mutex_);
  nlohmann::ordered_json json;
  json["topic"] = topic_;
  json["records"] = records_;
  json["bytes"] = bytes_;
  json["failed"] = failed_;
  json["partitions"] = nlohmann::ordered_json::array();
  for (const auto& [partition, row] : partitions_) {
    json["partitions"].push_back({{"partition", partition},
                                  {"records", row.records},
                                  {"first_offset", row.first_offset},
                                  {"last_offset", row.last_offset}});
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace varve::cli
