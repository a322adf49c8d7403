// Admin: questions that go to every broker, since each answers for itself alone.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "client/core/blocking.h"
#include "client/core/status_mapping.h"
#include "client_wire/cluster.pb.h"
#include "common/condition.h"
#include "varve/admin.h"

namespace varve {
inline namespace v0 {
namespace {

using client::Answer;
using client::ClientCore;
namespace wire = client::wire;

// A broker that says nothing for so long is shown as silent, though the request may last longer.
constexpr Nanos kMostPatience = 3 * kSecond;
// No correct broker needs so many for what it holds.
constexpr int kMostPages = 10'000;

std::string Hexadecimal(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

Condition FromWire(const wire::Condition& from, uint32_t stated_by) {
  return {.code = from.code(),
          .severity = from.severity(),
          .age_ms = from.age_ms(),
          .cause = from.cause(),
          .advice = from.advice(),
          .node = from.node(),
          .group_id = from.group_id(),
          .topic = from.topic(),
          .partition = from.partition(),
          .stated_by = {stated_by}};
}

void FromWire(const wire::DescribeBrokerReply& from, BrokerStatus* to) {
  to->directory_id = Hexadecimal(from.directory_id());
  to->version = from.version();
  to->peer_address = from.peer_address();
  to->state = from.state();
  to->uptime_ms = from.uptime_ms();
  to->process_epoch = from.process_epoch();
  to->controller_node = from.controller_node();
  to->replicas = from.replicas();
  to->leaders = from.leaders();
  to->data_bytes = from.data_bytes();
  to->directory_state = from.directory_state();
  for (const wire::PeerBroker& peer : from.peers())
    to->peers.push_back({peer.node(), peer.address(), peer.live(), peer.heard(), peer.silent_ms(),
                         peer.clock_ahead_ms()});
  for (const wire::Condition& condition : from.conditions())
    to->conditions.push_back(FromWire(condition, to->node));
  to->conditions_total = from.conditions_total();
}

ReplicaStatus FromWire(const wire::ReplicaStatus& from) {
  return {from.node(),        from.epoch(),     from.membership(),  from.state(),
          from.live(),        from.in_sync(),   from.match_index(), from.commit_index(),
          from.lag_entries(), from.lag_bytes(), from.behind_ms(),   from.stalled_ms(),
          from.full()};
}

PartitionStatus FromWire(const wire::PartitionStatus& from) {
  PartitionStatus to;
  to.topic = from.topic();
  to.partition = from.partition();
  to.group_id = from.group_id();
  to.node = from.node();
  to.epoch = from.epoch();
  to.role = from.role();
  to.term = from.term();
  to.leader_node = from.leader_node();
  to.serving = from.serving();
  to.log_start = from.log_start();
  to.high_watermark = from.high_watermark();
  to.log_end = from.log_end();
  to.size_bytes = from.size_bytes();
  to.commit_index = from.commit_index();
  to.durable_index = from.durable_index();
  to.last_index = from.last_index();
  to.damaged_ranges = from.damaged_ranges();
  for (const wire::ReplicaStatus& replica : from.replicas())
    to.replicas.push_back(FromWire(replica));
  to.under_replicated = from.under_replicated();
  to.configuration_change = from.configuration_change();
  return to;
}

// One question to one broker, under way.
template <class Reply>
struct Question {
  std::shared_ptr<Reply> reply = std::make_shared<Reply>();
  std::shared_ptr<Answer<Status>> answer = std::make_shared<Answer<Status>>();
  MonoTime deadline;

  template <class Request>
  void Ask(ClientCore& core, const std::string& address, const std::string& method,
           const Request& request) {
    const Nanos timeout =
        std::min<Nanos>(core.options().request_timeout.count() * kMillisecond, kMostPatience);
    deadline = core.Now() + timeout;
    if (address.empty())
      return answer->Set(client::Error(Reason::UNAVAILABLE, "its address is not known yet"));
    core.CallAt(address, method, request, reply, timeout,
                [into = answer](const Status& status, const std::string&) { into->Set(status); });
  }
  Status Wait(ClientCore& core, const std::string& address) {
    auto status = answer->Wait(std::max<Nanos>(deadline - core.Now(), 0) + kSecond);
    if (status) return *std::move(status);
    return client::Error(Reason::DEADLINE_EXCEEDED, "no answer from ", std::string_view(address));
  }
};

// Conditions of several brokers about one thing become one.
std::vector<Condition> Merge(const std::vector<BrokerStatus>& brokers) {
  using Key = std::tuple<std::string, uint32_t, uint64_t>;
  std::map<Key, Condition> merged;
  for (const BrokerStatus& broker : brokers) {
    for (const Condition& condition : broker.conditions) {
      const auto [at, fresh] =
          merged.try_emplace({condition.code, condition.node, condition.group_id}, condition);
      if (fresh) continue;
      std::vector<uint32_t> stated_by = std::move(at->second.stated_by);
      stated_by.push_back(broker.node);
      if (condition.age_ms > at->second.age_ms) at->second = condition;
      at->second.stated_by = std::move(stated_by);
    }
  }
  for (const BrokerStatus& broker : brokers) {
    if (broker.status.ok()) continue;
    const ConditionInfo& info = InfoOf(ConditionCode::kBrokerUnreachable);
    Condition unreachable{.code = std::string(info.name),
                          .severity = std::string(NameOf(info.severity)),
                          .cause = "node " + std::to_string(broker.node) + " at " + broker.address +
                                   " did not answer: " + std::string(broker.status.message()),
                          .advice = std::string(info.advice),
                          .node = broker.node};
    merged.try_emplace({unreachable.code, broker.node, 0}, std::move(unreachable));
  }
  std::vector<Condition> out;
  out.reserve(merged.size());
  for (auto& [key, condition] : merged) out.push_back(std::move(condition));
  std::stable_sort(out.begin(), out.end(), [](const Condition& a, const Condition& b) {
    return std::tuple(a.severity, -static_cast<int64_t>(a.age_ms)) <
           std::tuple(b.severity, -static_cast<int64_t>(b.age_ms));
  });
  return out;
}

using Found = std::map<std::pair<std::string, uint32_t>, PartitionReport>;

void Add(const wire::DescribePartitionsReply& reply, Found* found) {
  for (const wire::PartitionStatus& from : reply.partitions()) {
    PartitionReport& report = (*found)[{from.topic(), from.partition()}];
    report.topic = from.topic();
    report.partition = from.partition();
    report.group_id = from.group_id();
    report.replicas.push_back(FromWire(from));
  }
}

Status FromCallback() {
  return client::Error(Reason::INVALID_REQUEST,
                       "this call waits; it cannot be made from a callback");
}

struct Known {
  std::string cluster_id;
  uint32_t controller_node = 0;
  std::vector<BrokerStatus> brokers;
};

// Whom to ask. A broker that names no address of its own is where it was dialled; of another one
// that joined a moment ago it may not be known yet.
Result<Known> FindBrokers(const std::shared_ptr<ClientCore>& core) {
  auto reply = std::make_shared<wire::GetClusterReply>();
  auto answer = std::make_shared<Answer<std::pair<Status, std::string>>>();
  const Nanos timeout = core->options().request_timeout.count() * kMillisecond;
  core->Call(client::CallKind::kRead, "/varve.v1.ClusterService/GetCluster",
             std::make_shared<wire::GetClusterRequest>(), reply, core->Now() + timeout,
             [answer](const Status& status, const std::string& address) {
               answer->Set({status, address});
             });
  const auto got = answer->Wait(timeout + kSecond);
  if (!got) return client::Error(Reason::DEADLINE_EXCEEDED, "no broker answered in time");
  if (!got->first.ok()) return got->first;
  Known out;
  out.cluster_id = Hexadecimal(reply->cluster_id());
  out.controller_node = reply->controller_node();
  for (const wire::Broker& broker : reply->brokers()) {
    BrokerStatus& each = out.brokers.emplace_back();
    each.node = broker.node();
    each.address = broker.address();
    if (each.address.empty() && each.node == reply->answering_node()) each.address = got->second;
  }
  return out;
}

}  // namespace

Result<ClusterStatus> Admin::DescribeCluster() {
  if (core_->executor().InExecutor()) return FromCallback();
  Result<Known> known = FindBrokers(core_);
  if (!known.ok()) return known.status();
  ClusterStatus out;
  out.cluster_id = known->cluster_id;
  out.controller_node = known->controller_node;
  out.brokers = std::move(known->brokers);
  std::vector<Question<wire::DescribeBrokerReply>> questions(out.brokers.size());
  for (size_t i = 0; i < questions.size(); ++i)
    questions[i].Ask(*core_, out.brokers[i].address, "/varve.v1.ClusterService/DescribeBroker",
                     wire::DescribeBrokerRequest());
  for (size_t i = 0; i < questions.size(); ++i) {
    BrokerStatus& broker = out.brokers[i];
    broker.status = questions[i].Wait(*core_, broker.address);
    if (broker.status.ok()) FromWire(*questions[i].reply, &broker);
  }
  out.conditions = Merge(out.brokers);
  return out;
}

Result<PartitionSurvey> Admin::Survey(const std::string& topic, bool metadata) {
  if (core_->executor().InExecutor()) return FromCallback();
  Result<Known> known = FindBrokers(core_);
  if (!known.ok()) return known.status();
  std::vector<BrokerStatus> open = std::move(known->brokers);
  std::vector<std::string> tokens(open.size());
  Found found;
  PartitionSurvey out;
  for (int page = 0; !open.empty() && page < kMostPages; ++page) {
    std::vector<Question<wire::DescribePartitionsReply>> questions(open.size());
    for (size_t i = 0; i < open.size(); ++i) {
      wire::DescribePartitionsRequest request;
      request.set_topic(topic);
      request.set_metadata(metadata);
      request.set_page_token(tokens[i]);
      questions[i].Ask(*core_, open[i].address, "/varve.v1.ClusterService/DescribePartitions",
                       request);
    }
    std::vector<BrokerStatus> more;
    std::vector<std::string> more_tokens;
    for (size_t i = 0; i < open.size(); ++i) {
      open[i].status = questions[i].Wait(*core_, open[i].address);
      if (!open[i].status.ok()) {
        out.unanswered.push_back(std::move(open[i]));
        continue;
      }
      Add(*questions[i].reply, &found);
      if (questions[i].reply->next_page_token().empty()) continue;
      more_tokens.push_back(questions[i].reply->next_page_token());
      more.push_back(std::move(open[i]));
    }
    open = std::move(more);
    tokens = std::move(more_tokens);
  }
  out.partitions.reserve(found.size());
  for (auto& [key, report] : found) {
    std::sort(report.replicas.begin(), report.replicas.end(),
              [](const auto& a, const auto& b) { return a.node < b.node; });
    out.partitions.push_back(std::move(report));
  }
  return out;
}

Result<PartitionSurvey> Admin::DescribePartitions(const std::string& topic) {
  return Survey(topic, false);
}

Result<PartitionReport> Admin::DescribeMetadata() {
  Result<PartitionSurvey> survey = Survey("", true);
  if (!survey.ok()) return survey.status();
  return survey->partitions.empty() ? PartitionReport() : std::move(survey->partitions.front());
}

}  // namespace v0
}  // namespace varve
