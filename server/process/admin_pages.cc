#include "server/process/admin_pages.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <future>
#include <map>
#include <optional>
#include <utility>

#include "common/error.h"
#include "server/config/units.h"
#include "server/http/metrics_page.h"
#include "server/process/metrics_source.h"

namespace varve::server {
namespace {

HttpResponse Unavailable(std::string_view why) {
  return {.status = 503, .body = StrCat(why, "\n")};
}

HttpResponse Metrics(MetricsSource& source) {
  return {.content_type = kMetricsContentType, .body = RenderMetrics(source.Collect())};
}

HttpResponse Health(AdminView& view) {
  if (Broker* broker = view.broker.load(std::memory_order_acquire))
    if (const absl::Status health = broker->health(); !health.ok())
      return Unavailable(StrCat(InfoOf(ReasonOf(health)).name, ": ", MessageOf(health)));
  return {.body = "ok\n"};
}

HttpResponse Ready(AdminView& view) {
  Broker* broker = view.broker.load(std::memory_order_acquire);
  if (view.draining.load(std::memory_order_acquire)) return Unavailable("draining");
  if (broker == nullptr || !broker->ready()) return Unavailable("starting");
  HttpResponse response = Health(view);
  if (const std::string why = broker->partitions().clock_watch().Off(); !why.empty())
    response.body += StrCat("no records are taken: ", why, "\n");
  if (const std::string why = broker->partitions().clock_watch().Check(); !why.empty())
    response.body += StrCat("deletion by age is paused: ", why, "\n");
  return response;
}

struct FoldView {
  storage::FoldPosition position;
  uint64_t hash = 0;
};

// Position and hash of one moment: the fold may move between the two calls.
absl::StatusOr<std::optional<FoldView>> LookAtFold(storage::StateStore& store, GroupId group) {
  constexpr int kTries = 20;
  for (int i = 0; i < kTries; ++i) {
    VARVE_ASSIGN_OR_RETURN(const auto before, store.FindFold(group));
    if (!before) return std::nullopt;
    VARVE_ASSIGN_OR_RETURN(const uint64_t hash,
                           store.HashFold(group, storage::StateStore::Hashed::kContent));
    VARVE_ASSIGN_OR_RETURN(const auto after, store.FindFold(group));
    if (after && after->position == before->position && after->generation == before->generation)
      return FoldView{before->position, hash};
  }
  return MakeError(Reason::OVERLOADED, "the fold changes faster than it can be hashed");
}

HttpResponse Fold(AdminView& view, const HttpQuery& query) {
  Broker* broker = view.broker.load(std::memory_order_acquire);
  if (broker == nullptr || !broker->ready()) return Unavailable("starting");
  int64_t number = static_cast<int64_t>(kMetadataGroup.value());
  if (const auto given = query.find("group"); given != query.end()) {
    const std::optional<int64_t> parsed = ParseCount(given->second);
    if (!parsed) return {.status = 400, .body = "group is not a number\n"};
    number = *parsed;
  }
  const auto fold = LookAtFold(broker->state_store(), GroupId(static_cast<uint64_t>(number)));
  if (!fold.ok()) return Unavailable(MessageOf(fold.status()));
  if (!*fold) return {.status = 404, .body = StrCat("group ", number, " has no fold\n")};
  const nlohmann::ordered_json json = {
      {"group", number},
      {"applied", (*fold)->position.applied.value()},
      {"term", (*fold)->position.term.value()},
      // A text: not every reader keeps 64 bits of a number.
      {"hash", StrCat(absl::Hex((*fold)->hash, absl::kZeroPad16))}};
  return {.content_type = "application/json", .body = json.dump() + "\n"};
}

// The other brokers as this one sees them.
HttpResponse Peers(AdminView& view) {
  using Seen = std::pair<std::vector<raft::PeerState>, raft::PeerHubStats>;
  constexpr std::chrono::seconds kPatience{2};
  Broker* broker = view.broker.load(std::memory_order_acquire);
  if (broker == nullptr) return Unavailable("starting");
  if (broker->peers() == nullptr)
    return {.status = 404, .body = "this broker stays alone: peer.address is not set\n"};
  const auto promise = std::make_shared<std::promise<Seen>>();
  broker->peers()->hub().Describe([promise](auto states, const raft::PeerHubStats& stats) {
    promise->set_value({std::move(states), stats});
  });
  std::future<Seen> future = promise->get_future();
  if (future.wait_for(kPatience) != std::future_status::ready) return Unavailable("busy");
  const auto [states, stats] = future.get();
  const MonoTime now = RealClock().Now();
  nlohmann::ordered_json json = {{"node", broker->directory().identity().node.value()},
                                 {"peers", nlohmann::ordered_json::array()}};
  for (const raft::PeerState& peer : states) {
    nlohmann::ordered_json row = {{"node", peer.node.value()}, {"live", peer.live}};
    if (const auto known = broker->cluster_view().FindBroker(peer.node))
      row["address"] = known->peer_address;
    if (peer.last_heard) {
      row["silent_ms"] = (now - *peer.last_heard) / kMillisecond;
      row["process_epoch"] = peer.process_epoch;
      row["clock_ahead_ms"] = peer.clock_ahead_ms;
    }
    json["peers"].push_back(std::move(row));
  }
  json["packets_out"] = stats.packets_out;
  json["bytes_out"] = stats.bytes_out;
  json["messages_out"] = stats.messages_out;
  json["messages_dropped"] = stats.messages_dropped;
  json["packets_in"] = stats.packets_in;
  json["bytes_in"] = stats.bytes_in;
  json["packets_refused"] = stats.packets_refused;
  return {.content_type = "application/json", .body = json.dump() + "\n"};
}

}  // namespace

std::map<std::string, HttpHandler> AdminPages(AdminView& view) {
  return {
      {"/metrics", [source = std::make_shared<MetricsSource>(view)](
                       const HttpQuery&) { return Metrics(*source); }},
      {"/healthz", [&view](const HttpQuery&) { return Health(view); }},
      {"/readyz", [&view](const HttpQuery&) { return Ready(view); }},
      {"/admin/fold", [&view](const HttpQuery& query) { return Fold(view, query); }},
      {"/admin/peers", [&view](const HttpQuery&) { return Peers(view); }},
  };
}

}  // namespace varve::server
