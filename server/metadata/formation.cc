#include "server/metadata/formation.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"

namespace varve::server {
namespace {

constexpr int kMostRedirects = 3;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// What asking again cannot change.
bool IsFinal(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::FOREIGN_DIRECTORY:
    case Reason::INVALID_REQUEST:
    case Reason::UNSUPPORTED_FEATURE:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::vector<SeedNode>> ParseSeeds(std::string_view text) {
  std::vector<SeedNode> out;
  std::set<NodeId> nodes;
  while (!Trimmed(text).empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = Trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t at = item.find('@');
    uint32_t number = 0;
    const auto [end, error] =
        std::from_chars(item.data(), item.data() + std::min(at, item.size()), number);
    const bool numbered = at != std::string_view::npos && error == std::errc() &&
                          end == item.data() + at && number > 0;
    const std::string_view address = numbered ? item.substr(at + 1) : std::string_view();
    if (!numbered || address.rfind(':') == std::string_view::npos || address.front() == ':' ||
        address.back() == ':')
      return MakeError(Reason::INVALID_CONFIG, "\"", item,
                       "\" does not name a broker: write NODE@HOST:PORT, such as 1@db1:9641");
    if (!nodes.insert(NodeId(number)).second)
      return MakeError(Reason::INVALID_CONFIG, "node ", number, " is named twice");
    out.push_back({NodeId(number), std::string(address)});
  }
  return out;
}

void CheckSeeds(const std::vector<SeedNode>& seeds, NodeId self, ClusterId ours, PeerClient& client,
                Executor& home, Nanos timeout, absl::AnyInvocable<void(absl::Status)> done) {
  struct Asked {
    size_t missing = 0;
    bool ours = false;
    absl::Status foreign;
    absl::AnyInvocable<void(absl::Status)> done;
  };
  auto asked = std::make_shared<Asked>();
  asked->done = std::move(done);
  for (const SeedNode& seed : seeds) asked->missing += seed.node == self ? 0 : 1;
  if (asked->missing == 0) return home.Post([asked] { asked->done(absl::OkStatus()); });
  for (const SeedNode& seed : seeds) {
    if (seed.node == self) continue;
    client.Hello(seed.address, {self, ours}, timeout,
                 [asked, &home, ours, address = seed.address](absl::StatusOr<HelloReply> answer) {
                   home.Post([asked, ours, address, answer = std::move(answer)] {
                     if (answer.ok() && answer->cluster == ours) asked->ours = true;
                     if (answer.ok() && !answer->cluster.empty() && answer->cluster != ours)
                       asked->foreign =
                           MakeError(Reason::FOREIGN_CLUSTER, address, " belongs to cluster ",
                                     answer->cluster.ToString(), ", and this data directory to ",
                                     ours.ToString());
                     if (--asked->missing == 0)
                       asked->done(asked->ours ? absl::OkStatus() : std::move(asked->foreign));
                   });
                 });
  }
}

std::vector<BrokerInfo> BrokersOf(const std::vector<SeedNode>& seeds) {
  std::vector<BrokerInfo> out;
  out.reserve(seeds.size());
  for (const SeedNode& seed : seeds) out.push_back({seed.node, {}, "", seed.address});
  return out;
}

std::vector<BrokerInfo> MergedBrokers(std::vector<BrokerInfo> known,
                                      const std::vector<BrokerInfo>& newer) {
  for (const BrokerInfo& broker : newer) {
    const auto at = std::find_if(known.begin(), known.end(), [&](const BrokerInfo& other) {
      return other.node == broker.node;
    });
    if (at == known.end()) {
      known.push_back(broker);
    } else {
      *at = broker;
    }
  }
  return known;
}

Formation::Formation(FormationOptions options, PeerClient& client, Executor& home,
                     const Clock& clock)
    : options_(std::move(options)),
      client_(client),
      home_(home),
      clock_(clock),
      self_(std::make_shared<Formation*>(this)) {}

Formation::~Formation() { *self_ = nullptr; }

void Formation::Run(Progress progress, Done done) {
  progress_ = std::move(progress);
  done_ = std::move(done);
  if (options_.seeds.empty()) return std::exchange(done_, nullptr)(Formed{.founds = true});
  Ask();
}

void Formation::Ask() {
  ++round_;
  answers_.clear();
  missing_ = 0;
  for (const SeedNode& seed : options_.seeds)
    if (seed.node != options_.self.node) ++missing_;
  if (missing_ == 0) return Judge();
  for (const SeedNode& seed : options_.seeds) {
    if (seed.node == options_.self.node) continue;
    client_.Hello(seed.address, {options_.self.node, options_.cluster}, options_.ask_timeout,
                  [self = self_, &home = home_, round = round_,
                   node = seed.node](absl::StatusOr<HelloReply> answer) {
                    home.Post([self, round, node, answer = std::move(answer)]() mutable {
                      if (*self != nullptr) (*self)->OnAnswer(round, node, std::move(answer));
                    });
                  });
  }
}

void Formation::OnAnswer(uint64_t round, NodeId node, absl::StatusOr<HelloReply> answer) {
  if (round != round_ || !done_) return;
  answers_.insert_or_assign(node, std::move(answer));
  if (--missing_ == 0) Judge();
}

// All other seeds have answered, or failed to.
void Formation::Judge() {
  std::string silent;
  for (const SeedNode& seed : options_.seeds) {
    const auto at = answers_.find(seed.node);
    if (at == answers_.end()) continue;  // this node
    if (!at->second.ok()) {
      silent += StrCat(silent.empty() ? "" : ", ", seed.address, " (",
                       MessageOf(at->second.status()), ")");
      continue;
    }
    const HelloReply& known = *at->second;
    if (known.cluster.empty()) {
      if (!known.directory_empty)
        silent += StrCat(silent.empty() ? "" : ", ", seed.address, " (its directory is not empty)");
      continue;
    }
    std::string address = seed.address;
    for (const BrokerInfo& broker : known.brokers)
      if (broker.node == known.controller) address = broker.peer_address;
    return JoinThrough(std::move(address), 0);
  }
  const bool first = options_.seeds.front().node == options_.self.node;
  if (first && silent.empty()) return std::exchange(done_, nullptr)(Formed{.founds = true});
  if (!silent.empty()) return Again(StrCat("no answer yet from ", silent));
  Again(StrCat("node ", options_.seeds.front().node, " has not founded the cluster yet"));
}

void Formation::JoinThrough(std::string address, int redirects) {
  client_.Join(address, {options_.self}, options_.join_timeout,
               [self = self_, &home = home_, redirects](absl::StatusOr<JoinReply> reply) {
                 home.Post([self, redirects, reply = std::move(reply)]() mutable {
                   if (*self != nullptr) (*self)->OnJoined(std::move(reply), redirects);
                 });
               });
}

void Formation::OnJoined(absl::StatusOr<JoinReply> reply, int redirects) {
  if (!done_) return;
  if (!reply.ok()) {
    // A process that was killed just now is believed to live for a moment.
    const bool foreign = ReasonOf(reply.status()) == Reason::FOREIGN_DIRECTORY;
    if (foreign && !foreign_since_) foreign_since_ = clock_.Now();
    const bool patient = foreign && clock_.Now() - *foreign_since_ < options_.foreign_patience;
    if (IsFinal(reply.status()) && !patient) return std::exchange(done_, nullptr)(reply.status());
    const std::string elsewhere = ErrorDetail("leader_address", reply.status());
    if (!elsewhere.empty() && redirects < kMostRedirects)
      return JoinThrough(elsewhere, redirects + 1);
    return Again(StrCat("joining failed: ", MessageOf(reply.status())));
  }
  if (!options_.cluster.empty() && reply->cluster != options_.cluster)
    return std::exchange(done_, nullptr)(MakeError(
        Reason::FOREIGN_DIRECTORY, "the brokers of bootstrap.nodes are cluster ",
        reply->cluster.ToString(), ", and this one belongs to ", options_.cluster.ToString()));
  // The seeds too: by the time that this broker is heard, others may lead than were in the cluster.
  Formed formed{false, reply->cluster, reply->metadata_epoch,
                MergedBrokers(BrokersOf(options_.seeds), reply->brokers), reply->recovery_number};
  std::exchange(done_, nullptr)(std::move(formed));
}

void Formation::Again(std::string waiting_for) {
  if (waiting_for != waiting_for_ && progress_) progress_(waiting_for);
  waiting_for_ = std::move(waiting_for);
  home_.RunAt(clock_.Now() + options_.retry, [self = self_] {
    if (*self != nullptr) (*self)->Ask();
  });
}

void Formation::Hello(HelloRequest /*request*/, Reply<HelloReply> reply) {
  HelloReply out;
  out.node = options_.self.node;
  out.directory_empty = options_.directory_empty;
  home_.Post([reply = std::move(reply), out = std::move(out)]() mutable { reply(std::move(out)); });
}

void Formation::Join(JoinRequest /*request*/, Reply<JoinReply> reply) { Refuse(std::move(reply)); }
void Formation::Report(ReportRequest /*request*/, Reply<ReportReply> reply) {
  Refuse(std::move(reply));
}
void Formation::Transfer(TransferRequest /*request*/, Reply<TransferReply> reply) {
  Refuse(std::move(reply));
}

}  // namespace varve::server
