#include "client/core/metadata.h"

#include <utility>

#include "client/core/client_core.h"
#include "client/core/status_mapping.h"
#include "client_wire/cluster.pb.h"
#include "client_wire/topic.pb.h"
#include "common/limits.h"

namespace varve::client {

// One refresh: the topic and the brokers' addresses, asked at the same time.
struct Metadata::Question {
  std::string topic;
  std::vector<Done> done;
  int answers_missing = 2;
  Status status;
  std::string answered_by;
  std::shared_ptr<wire::GetTopicReply> topic_reply = std::make_shared<wire::GetTopicReply>();
  std::shared_ptr<wire::GetClusterReply> cluster_reply = std::make_shared<wire::GetClusterReply>();
};

void Metadata::Refresh(const std::string& topic, Done done) {
  std::shared_ptr<Question>& question = under_way_[topic];
  if (question != nullptr) {
    question->done.push_back(std::move(done));
    return;
  }
  // A broker that is cut off from its cluster answers for ever as it did last.
  if (std::exchange(doubted_, false)) core_.AskAnother();
  question = std::make_shared<Question>();
  question->topic = topic;
  question->done.push_back(std::move(done));
  const MonoTime deadline = core_.Now() + core_.options().request_timeout.count() * kMillisecond;
  auto request = std::make_shared<wire::GetTopicRequest>();
  request->set_name(topic);
  const auto answer = [this, question](const Status& status, const std::string& address) {
    if (!status.ok() && question->status.ok()) question->status = status;
    question->answered_by = address;
    if (--question->answers_missing == 0) Merge(question);
  };
  const std::shared_ptr<Question> keep = question;
  core_.Call(CallKind::kRead, "/varve.v1.TopicService/GetTopic", request, keep->topic_reply,
             deadline, answer);
  core_.Call(CallKind::kRead, "/varve.v1.ClusterService/GetCluster",
             std::make_shared<wire::GetClusterRequest>(), keep->cluster_reply, deadline, answer);
}

void Metadata::Merge(const std::shared_ptr<Question>& question) {
  under_way_.erase(question->topic);
  std::shared_ptr<const TopicInfo> info;
  const wire::Topic& topic = question->topic_reply->topic();
  if (question->status.ok() &&
      static_cast<uint32_t>(topic.partitions_size()) > limits::kMaxPartitionsPerTopic) {
    question->status = Error(Reason::INTERNAL, "the broker names ", topic.partitions_size(),
                             " partitions of topic \"", question->topic, "\"");
  }
  if (question->status.ok()) {
    std::map<uint32_t, std::string> addresses;
    for (const wire::Broker& broker : question->cluster_reply->brokers()) {
      addresses[broker.node()] = broker.address();
    }
    auto fresh = std::make_shared<TopicInfo>();
    fresh->name = question->topic;
    fresh->max_batch_bytes = topic.config().max_batch_bytes();
    for (const wire::Partition& partition : topic.partitions()) {
      std::string leader;
      if (partition.leader_node() != 0) {
        leader = addresses[partition.leader_node()];
        // Any broker serves or says who does.
        if (leader.empty()) leader = question->answered_by;
      }
      fresh->leaders.push_back(std::move(leader));
    }
    info = fresh;
    topics_[question->topic] = info;
  }
  for (const Done& done : question->done) done(question->status, info);
}

std::shared_ptr<const TopicInfo> Metadata::Find(const std::string& topic) const {
  const auto at = topics_.find(topic);
  return at == topics_.end() ? nullptr : at->second;
}

void Metadata::NoteLeader(const std::string& topic, uint32_t partition,
                          const std::string& address) {
  if (address.empty()) doubted_ = true;
  const auto at = topics_.find(topic);
  if (at == topics_.end() || partition >= at->second->leaders.size()) return;
  auto changed = std::make_shared<TopicInfo>(*at->second);
  changed->leaders[partition] = address;
  at->second = changed;
}

void Metadata::ForgetLeader(const std::string& topic, uint32_t partition) {
  NoteLeader(topic, partition, "");
}

}  // namespace varve::client
