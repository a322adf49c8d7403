// ReaderCore: what a Reader does behind its handle.
#ifndef VARVE_CLIENT_CORE_READER_CORE_H_
#define VARVE_CLIENT_CORE_READER_CORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/reader_inbox.h"
#include "client/core/subscribe_link.h"
#include "varve/reader.h"

namespace varve::client {

struct TopicInfo;

// Pollers meet the executor in the inbox. Methods in the first part are thread-safe, all others run
// on the executor. Each subscription is at any time on a link, waiting, or ended.
class ReaderCore : public SubscribeLinkOwner, public std::enable_shared_from_this<ReaderCore> {
 public:
  ReaderCore(std::shared_ptr<ClientCore> core, ReaderOptions options);
  // Call once, when owned by a shared_ptr.
  void Start();

  ReaderInbox& inbox() { return *inbox_; }
  const std::shared_ptr<ClientCore>& client() { return core_; }
  void Assign(std::vector<Assignment> assignments);
  Status Seek(const TopicPartition& partition, StartPosition to);
  void SetCallback(Reader::RecordsCallback callback);
  void Close();
  [[nodiscard]] ReaderStats stats() const;
  [[nodiscard]] ReadIsolation isolation() const { return options_.isolation; }

  void OnReceived(SubscribeLink& link, Subscription& subscription, InboxItem item,
                  int64_t high_watermark, int64_t log_start) override;
  void OnStale(SubscribeLink& link, int64_t bytes, int64_t records) override;
  void OnEnded(Subscription& subscription, const Status& status) override;
  void OnClosed(SubscribeLink& link, const Status& status,
                const std::vector<Subscription*>& left) override;

 private:
  struct Route {  // to one broker
    std::shared_ptr<SubscribeLink> link;
    uint32_t failures = 0;
    MonoTime not_before;
    int64_t held_bytes = 0;  // received and not yet polled: not to be granted again
    int64_t held_records = 0;
  };
  using Subscriptions = std::map<ReadEpoch, std::unique_ptr<Subscription>>;

  void Post(std::function<void(ReaderCore&)> task);
  void After(Nanos delay, std::function<void(ReaderCore&)> task);
  // The same for one subscription: nothing happens if its epoch is over by then.
  void AfterFor(Nanos delay, ReadEpoch epoch, std::function<void(ReaderCore&, Subscription&)> task);
  Subscription* Find(ReadEpoch epoch);

  void Replace(const std::vector<Assignment>& assignments, const std::vector<ReadEpoch>& epochs);
  void Restart(ReadEpoch old_epoch, ReadEpoch new_epoch, StartPosition to);
  // Puts a subscription on a link, or waits for what that needs.
  void Attach(Subscription& subscription);
  void SeekLeader(Subscription& subscription);
  void Fail(Subscription& subscription, const Status& status);
  void TakeBack(const std::string& address, int64_t bytes, int64_t records);
  void DropLinks();
  // Looks a few times whether brokers that have fallen silent still lead.
  void ArmWatch();
  void Watch();
  void AskAbout(const std::shared_ptr<SubscribeLink>& link);
  void OnLeaders(SubscribeLink& link, const TopicInfo& topic);
  void Deliver();

  const std::shared_ptr<ClientCore> core_;
  const ReaderOptions options_;
  std::unique_ptr<ReaderInbox> inbox_;
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> stale_{0}, reconnects_{0};

  // Executor only.
  std::map<std::string, Route> routes_;
  Subscriptions subscriptions_;
  Reader::RecordsCallback callback_;
  bool delivering_ = false;
  bool watching_ = false;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_READER_CORE_H_
