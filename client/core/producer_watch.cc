// How ProducerCore notices that a broker which owes an answer leads no more. A frozen process keeps
// its connections, and a leader that is cut off from the others has nothing to say.
#include <utility>

#include "client/core/metadata.h"
#include "client/core/producer_core.h"
#include "client/core/status_mapping.h"

namespace varve::client {
namespace {

// Well above a slow disk's sync, well below the time in which a failover is to be over. Asking too
// early costs one question.
constexpr Nanos kSilence = 500 * kMillisecond;

}  // namespace

void ProducerCore::ArmWatch() {
  if (std::exchange(watching_, true)) return;
  After(kSilence, [](ProducerCore& self) {
    self.watching_ = false;
    self.Watch();
  });
}

void ProducerCore::Watch() {
  std::vector<std::shared_ptr<ProduceLink>> links = draining_;
  for (const auto& [address, route] : routes_) {
    if (route.link != nullptr) links.push_back(route.link);
  }
  for (const std::shared_ptr<ProduceLink>& link : links) {
    if (link->Longest() != nullptr) ArmWatch();
    if (link->Silence() >= kSilence) AskAbout(link);
  }
}

void ProducerCore::AskAbout(const std::shared_ptr<ProduceLink>& link) {
  if (std::exchange(link->question_under_way, true)) return;
  // Itself it may not answer, or not know better.
  core_->AskSomebodyElse(link->address());
  core_->metadata().Refresh(
      link->Longest()->topic.name(),
      [weak = weak_from_this(), waiting = std::weak_ptr<ProduceLink>(link)](
          const Status& status, const std::shared_ptr<const TopicInfo>& topic) {
        const std::shared_ptr<ProducerCore> self = weak.lock();
        const std::shared_ptr<ProduceLink> alive = waiting.lock();
        if (self == nullptr || alive == nullptr) return;
        alive->question_under_way = false;
        if (status.ok()) self->OnLeaders(*alive, *topic);
      });
}

void ProducerCore::OnLeaders(ProduceLink& link, const TopicInfo& topic) {
  const ProducerPartition* partition = link.Longest();
  if (link.Silence() < kSilence || partition->topic.name() != topic.name ||
      partition->number >= topic.leaders.size())
    return;
  const std::string& leader = topic.leaders[partition->number];
  if (leader.empty() || leader == link.address()) return;
  link.GiveUp(Error(Reason::UNAVAILABLE, "broker ", std::string_view(link.address()),
                    " does not answer, and ", std::string_view(leader), " leads by now"));
}

}  // namespace varve::client
