#include <utility>

#include "common/error.h"
#include "tests/sim/session_clients.h"

namespace varve::sim {

void ProduceClient::Act() {
  if (!session_) return Begin();
  if (world_.random->OneIn(300)) return Leave();
  if (opened_.empty() || (opened_.size() + asked_.size() < 3 && world_.random->OneIn(20)))
    return OpenTopic();
  Append();
}

void ProduceClient::Begin() {
  auto opened = world_.service->OpenProduce(world_.Context(3600 * kSecond), *this);
  world_.Note("open produce", opened.ok());
  if (!opened.ok()) {
    world_.oracle.ExpectReason("open produce", opened.status(),
                               {Reason::STARTING, Reason::SHUTTING_DOWN, Reason::OVERLOADED});
    return;
  }
  session_ = *std::move(opened);
  lane_ = world_.NextLane();
  credit_ = first_credit_ = {};
}

// Closing gives up what is under way.
void ProduceClient::Leave() {
  if (!session_) return;
  session_->Close();
  session_.reset();
  for (const auto& [number, where] : sent_) world_.oracle.GaveUp(number);
  sent_.clear();
  under_way_.clear();
  asked_.clear();
  opened_.clear();
  world_.Note("close produce", lane_);
}

void ProduceClient::OpenTopic() {
  if (asked_.size() > 2) return;
  const bool unknown = world_.random->OneIn(world_.options.bad_one_in);
  const auto topic = unknown ? std::optional<std::string>("no-such-topic") : world_.AnyTopic();
  if (!topic) return;
  asked_[++last_handle_] = *topic;
  world_.Note("open topic", last_handle_);
  session_->Open(last_handle_, *topic, server::Acks::kAll, {});
}

void ProduceClient::OnOpened(uint32_t handle, absl::StatusOr<Opened> opened) {
  world_.Note("opened topic", handle);
  if (first_credit_.bytes == 0) world_.oracle.Violate("a topic was opened before any credit came");
  auto node = asked_.extract(handle);
  if (node.empty()) return world_.oracle.Violate("handle ", handle, " was opened unasked");
  if (opened.ok()) {
    opened_[handle] = node.mapped();
  } else if (world_.StateOf(node.mapped()) == KnownTopic::State::kExists) {
    world_.oracle.Violate("topic ", node.mapped(), " was not opened: ", MessageOf(opened.status()));
  }
}

void ProduceClient::Append() {
  const auto at =
      std::next(opened_.begin(), static_cast<int64_t>(world_.random->Below(opened_.size())));
  const auto& [handle, topic] = *at;
  const KnownTopic& known = world_.oracle.topics().at(topic);
  if (known.state == KnownTopic::State::kDeleted) {
    opened_.erase(at);
    return;
  }
  const Target target{topic,
                      PartitionId(static_cast<uint32_t>(world_.random->Below(known.partitions)))};
  for (uint64_t i = 1 + world_.random->Below(4); i > 0; --i) {
    if (credit_.bytes <= 0 || credit_.records <= 0) return;
    World::NewBatch batch = world_.MakeBatch(number_, lane_, target);
    if (world_.random->OneIn(world_.options.bad_one_in)) world_.Damage(&batch);
    credit_.bytes -= static_cast<int64_t>(batch.bytes.size());
    credit_.records -= 1;
    under_way_[target].push_back(batch.number);
    sent_[batch.number] = {target, batch.bytes.size()};
    world_.Note("append", batch.number);
    session_->Append(batch.number, handle, target.partition, FrameBuffer::Copy(batch.bytes));
  }
}

void ProduceClient::OnAck(uint64_t request_id, const server::ProduceResult& result) {
  world_.Note("ack", request_id * 64 + static_cast<uint64_t>(ReasonOf(result.status)));
  const auto at = sent_.find(request_id);
  if (at == sent_.end())
    return world_.oracle.Violate("batch ", request_id, " of a session was acknowledged twice");
  auto& queue = under_way_[at->second.first];
  // Handles are lanes: two handles of one topic are not ordered with each
  // other.
  const auto place = std::find(queue.begin(), queue.end(), request_id);
  if (place != queue.end()) queue.erase(place);
  world_.oracle.Answered(request_id, result);
  sent_.erase(at);
}

void ProduceClient::OnCredit(server::SessionCredit more) {
  if (first_credit_.bytes == 0) first_credit_ = more;
  credit_.bytes += more.bytes;
  credit_.records += more.records;
  if (credit_.bytes > first_credit_.bytes || credit_.records > first_credit_.records)
    world_.oracle.Violate("a produce session gave back more credit than was used");
}

void ProduceClient::OnMoved(const std::string& why) {
  world_.oracle.Violate("a session of the only broker was moved: ", why);
}

void ProduceClient::CheckSettled() {
  if (!session_) return;
  if (!sent_.empty())
    world_.oracle.Violate(sent_.size(), " batches of a session were never acknowledged, the first ",
                          sent_.begin()->first);
  if (!asked_.empty()) world_.oracle.Violate("an opening of a topic was never answered");
  if (credit_.bytes != first_credit_.bytes || credit_.records != first_credit_.records)
    world_.oracle.Violate("a session at rest has ", credit_.bytes, " bytes of credit, not ",
                          first_credit_.bytes);
}

}  // namespace varve::sim
