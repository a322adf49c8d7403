// How ReaderCore notices that a silent broker leads no more. A frozen process keeps its
// connections.
#include <algorithm>
#include <utility>

#include "client/core/metadata.h"
#include "client/core/reader_core.h"
#include "client/core/status_mapping.h"

namespace varve::client {
namespace {

constexpr Nanos kInterval = 500 * kMillisecond;
// Silence is the rule where nobody writes: it is asked about after 1, 2, 4 and 8 s and then no more
// until a message came. Dead connections are the keepalive's to find.
constexpr Nanos kSilence = kSecond;
constexpr uint32_t kMostQuestions = 4;

}  // namespace

void ReaderCore::ArmWatch() {
  if (std::exchange(watching_, true)) return;
  After(kInterval, [](ReaderCore& self) {
    self.watching_ = false;
    self.Watch();
  });
}

void ReaderCore::Watch() {
  std::vector<std::shared_ptr<SubscribeLink>> links;
  links.reserve(routes_.size());
  for (const auto& [address, route] : routes_) {
    if (route.link != nullptr) links.push_back(route.link);
  }
  for (const std::shared_ptr<SubscribeLink>& link : links) {
    if (link->questions >= kMostQuestions || link->subscriptions().empty()) continue;
    ArmWatch();
    if (link->Silence() >= kSilence << link->questions) AskAbout(link);
  }
}

void ReaderCore::AskAbout(const std::shared_ptr<SubscribeLink>& link) {
  if (std::exchange(link->question_under_way, true)) return;
  // Itself it may not answer, or not know better.
  ++link->questions;
  core_->AskSomebodyElse(link->address());
  core_->metadata().Refresh(
      link->subscriptions().begin()->second->partition.topic,
      [weak = weak_from_this(), silent = std::weak_ptr<SubscribeLink>(link)](
          const Status& status, const std::shared_ptr<const TopicInfo>& topic) {
        const std::shared_ptr<ReaderCore> self = weak.lock();
        const std::shared_ptr<SubscribeLink> alive = silent.lock();
        if (self == nullptr || alive == nullptr) return;
        alive->question_under_way = false;
        if (status.ok()) self->OnLeaders(*alive, *topic);
      });
}

void ReaderCore::OnLeaders(SubscribeLink& link, const TopicInfo& topic) {
  if (link.Silence() < kSilence) return;
  const auto& subscriptions = link.subscriptions();
  const bool moved = std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& item) {
    const TopicPartition& partition = item.second->partition;
    if (partition.topic != topic.name || partition.partition >= topic.leaders.size()) return false;
    const std::string& leader = topic.leaders[partition.partition];
    return !leader.empty() && leader != link.address();
  });
  if (!moved) return;
  link.GiveUp(Error(Reason::UNAVAILABLE, "broker ", std::string_view(link.address()),
                    " is silent, and does not lead any more"));
}

}  // namespace varve::client
