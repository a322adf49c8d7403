// ReaderInbox: what has been received and not yet returned, and how far each partition is.
#ifndef VARVE_CLIENT_CORE_READER_INBOX_H_
#define VARVE_CLIENT_CORE_READER_INBOX_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "varve/reader.h"
#include "varve/status.h"

namespace varve::client {

// Names one stay of a partition in the inbox: every assignment and every seek begins another, so
// that what belongs to an earlier one is recognised and dropped.
using ReadEpoch = uint64_t;

// Something received for one partition, in the order of its stream.
struct InboxItem {
  ReadEpoch epoch = 0;
  std::shared_ptr<const std::string> batches;  // null: news of the position only
  uint32_t records = 0;
  int64_t next_offset = -1;
  Status error;         // the partition ends here
  std::string address;  // whose credit the item took
};

// Thread-safe. The executor pushes, pollers take.
class ReaderInbox {
 public:
  // Given back when an item leaves the inbox: the broker's address, bytes and records.
  using ReturnCredit = std::function<void(const std::string&, int64_t, int64_t)>;
  ReaderInbox(size_t poll_bytes, ReturnCredit return_credit)
      : poll_bytes_(poll_bytes), return_credit_(std::move(return_credit)) {}

  // Replaces the partitions; one epoch for each, in order.
  std::vector<ReadEpoch> Assign(const std::vector<Assignment>& assignments);
  // {old, new} epoch; nullopt when the partition is not assigned.
  std::optional<std::pair<ReadEpoch, ReadEpoch>> Restart(const TopicPartition& partition);
  [[nodiscard]] std::vector<ReaderPosition> positions() const;
  // Records at or above an offset are not returned.
  void StopAt(const TopicPartition& partition, int64_t offset);
  [[nodiscard]] bool AtStop() const;

  void Push(InboxItem item);
  // News that needs no order: what the broker last said of its log.
  void NoteLog(ReadEpoch epoch, int64_t high_watermark, int64_t log_start);
  // Why nothing comes at present; an OK status when that is over.
  void SetTrouble(Status trouble);
  void Close();

  Result<Records> Poll(std::chrono::milliseconds timeout);
  [[nodiscard]] bool HasItems() const;
  // Called after a partition's data turned out to be bad; its stream must end.
  void OnBadData(std::function<void(ReadEpoch)> call) { on_bad_data_ = std::move(call); }
  [[nodiscard]] uint64_t records_returned() const;
  [[nodiscard]] uint64_t bytes_returned() const;

 private:
  struct Place {
    std::shared_ptr<const TopicPartition> partition;
    int64_t next_offset = -1;
    int64_t stop_at = -1;
    int64_t high_watermark = -1;
    int64_t log_start = -1;
  };
  using Lock = std::unique_lock<std::mutex>;

  [[nodiscard]] bool AtStopLocked() const;
  void Drop(Lock& lock, ReadEpoch epoch);
  // Takes and decodes one item into *out.
  Status TakeOne(Lock& lock, Records* out, size_t* bytes);
  Status WithPartition(const Status& status, const TopicPartition& partition) const;

  const size_t poll_bytes_;
  const ReturnCredit return_credit_;
  std::function<void(ReadEpoch)> on_bad_data_;
  std::mutex poll_mutex_;  // pollers take turns; taken before mutex_

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<ReadEpoch, Place> places_;
  std::deque<InboxItem> items_;
  ReadEpoch next_epoch_ = 1;
  Status trouble_;
  Status deferred_;  // an error that waits until the records before it have been returned
  bool stopping_ = false;
  bool closed_ = false;
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_READER_INBOX_H_
