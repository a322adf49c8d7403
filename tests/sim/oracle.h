// Oracle: what a client may rely on, judged from outside the request gate.
#ifndef VARVE_TESTS_SIM_ORACLE_H_
#define VARVE_TESTS_SIM_ORACLE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/strings.h"
#include "server/service/messages.h"

namespace varve::sim {

// Number of a batch: the whole run's, from 1. Every record of a batch says it,
// see Oracle::Value.
using BatchNumber = uint64_t;

struct SentBatch {
  uint32_t client = 0;
  uint64_t lane = 0;  // batches of one lane and partition are ordered; 0: no lane
  std::string topic;
  std::optional<PartitionId> partition;  // the broker chooses otherwise
  uint32_t records = 0;
  uint32_t value_bytes = 0;
  // CRC field of the batch as sent, which covers all but what the broker may
  // set; 0: plain records.
  uint32_t crc = 0;
};

struct KnownTopic {
  // kAsked and kDeleting: the outcome is not known.
  enum class State : uint8_t { kAsked, kExists, kDeleting, kDeleted };
  State state = State::kAsked;
  TopicId id;
  uint32_t partitions = 0;
};

// What a read said, from whichever call. `floor` is HighWatermark() as of when
// it was asked.
struct Observation {
  std::string topic;
  PartitionId partition;
  Offset from;
  Offset next_offset;
  Offset high_watermark;
  Offset floor;
};

// Knows everything that was sent and everything that was answered. Broken
// promises are collected, not thrown: a test says whether there may be any.
//
// The promises: an acknowledged batch is at its offset for good, with the bytes
// sent; a refused one is nowhere; one whose outcome is unknown is there once or
// not at all, and what a recovery did not bring back never comes; batches of a
// lane are in order, without a gap between those not refused; a batch
// acknowledged before another was sent lies before it; offsets and append times
// ascend; nobody reads beyond a high watermark, which never falls; topics exist
// as acknowledged.
class Oracle {
 public:
  template <class... Pieces>
  void Violate(const Pieces&... pieces) {
    ++violation_count_;
    if (violations_.size() < kMaxViolations) violations_.push_back(StrCat(pieces...));
  }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

  // The value of a record: number and index, then bytes that follow from them.
  static std::string Value(BatchNumber number, uint32_t index, uint32_t bytes);
  static constexpr uint32_t kMinValueBytes = 12;

  // --- Batches
  BatchNumber Send(SentBatch batch);
  // Fills in what only the finished batch says.
  void SetCrc(BatchNumber number, uint32_t crc) { at(number).sent.crc = crc; }
  // Damaged on the way: no broker may take it.
  void Spoil(BatchNumber number) { at(number).spoiled = true; }
  void Answered(BatchNumber number, const server::ProduceResult& result);
  // The client went away before an answer.
  void GaveUp(BatchNumber number) { at(number).outcome = Outcome::kUnknown; }
  // All clients did.
  void Crashed();

  // --- Topics
  void TopicAsked(const std::string& name, uint32_t partitions);
  void TopicAnswered(const std::string& name, const absl::StatusOr<server::TopicInfo>& answer);
  void DeleteAsked(const std::string& name);
  void DeleteAnswered(const std::string& name, const absl::Status& answer);
  // What GetTopic says. `settled`: no request about it is under way, so that it
  // decides.
  void TopicLooked(const std::string& name, const absl::StatusOr<server::TopicInfo>& answer,
                   bool settled);
  [[nodiscard]] const std::map<std::string, KnownTopic>& topics() const { return topics_; }

  // --- Reads
  [[nodiscard]] Offset HighWatermark(const std::string& topic, PartitionId partition) const;
  void Read(const Observation& seen, const std::vector<Entry>& entries);
  void ReadPlain(const Observation& seen, const std::vector<server::PlainRecord>& records);
  // A request that must fail failed, or did not.
  void ExpectReason(std::string_view what, const absl::Status& status,
                    std::initializer_list<Reason> allowed);

  // --- The whole log, read from start to end after a recovery: decides every
  // unknown outcome of what was sent before. Between Begin and End each
  // partition's log is read once, in order.
  void BeginReadBack();
  void EndReadBack();

  [[nodiscard]] uint64_t sent() const { return batches_.size(); }
  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] uint64_t refused() const { return refused_; }
  // Batches, and records in plain form, that a reader was given and that were judged.
  [[nodiscard]] uint64_t read() const { return read_; }
  [[nodiscard]] uint64_t recovered_unknown() const { return recovered_unknown_; }
  [[nodiscard]] uint64_t lost_unknown() const { return lost_unknown_; }

 private:
  static constexpr size_t kMaxViolations = 20;
  enum class Outcome : uint8_t { kUnderWay, kAcknowledged, kRefused, kUnknown, kAbsent };
  using Place = std::pair<std::string, PartitionId>;
  struct Batch {
    SentBatch sent;
    Outcome outcome = Outcome::kUnderWay;
    bool spoiled = false;
    uint64_t moment = 0;         // when it was sent, in batches acknowledged until then
    uint64_t acknowledged = 0;   // its place among the acknowledgements, from 1
    std::optional<Place> place;  // once known
    Offset base_offset;
    WallTime append_time;
    uint64_t seen_in = 0;  // the read-back that saw it last
  };
  struct Log {
    Offset high_watermark;                  // the highest answered or acknowledged
    std::map<Offset, BatchNumber> batches;  // by base offset, all that were ever seen
  };

  Batch& at(BatchNumber number) { return batches_[number - 1]; }
  [[nodiscard]] bool Gone(const std::string& topic) const;
  void CheckBounds(const Observation& seen);
  // One batch as a reader found it; `records` from its base offset on.
  void Found(const Place& place, const Entry& entry);
  void Put(const Place& place, BatchNumber number, Offset base);
  void CheckRecord(const Place& place, Offset offset, const std::optional<std::string_view>& value);
  void CheckLogs();
  void CheckLanes();

  std::vector<Batch> batches_;
  std::map<Place, Log> logs_;
  std::map<std::string, KnownTopic> topics_;
  uint64_t acknowledged_ = 0, refused_ = 0, read_ = 0;
  uint64_t recovered_unknown_ = 0, lost_unknown_ = 0;
  uint64_t read_back_ = 0;  // number of the last one
  bool reading_back_ = false;
  uint64_t violation_count_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_ORACLE_H_
