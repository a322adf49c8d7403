// Every message arrives here: is it for this replica, and of which term?
#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {

void Core::On(const Receive& receive) {
  const Message& message = receive.message;
  if (!AdmitMessage(message)) return;
  // Votes bring terms of their own, which not everybody enters.
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) return On(message, *request);
  if (const auto* reply = std::get_if<VoteReply>(&message.body)) return On(message, *reply);
  if (!AdoptTerm(message)) return;
  struct Visitor {
    Core& core;
    const Message& message;
    void operator()(const VoteRequest&) const {}
    void operator()(const VoteReply&) const {}
    void operator()(const AppendRequest& m) const { core.On(message, m); }
    void operator()(const AppendReply& m) const { core.On(message, m); }
    void operator()(const Heartbeat& m) const { core.On(message, m); }
    void operator()(const HeartbeatReply& m) const { core.On(message, m); }
    void operator()(const InstallRequest& m) const { core.On(message, m); }
    void operator()(const InstallReply& m) const { core.On(message, m); }
    void operator()(const ReadProbe& m) const { core.On(message, m); }
    void operator()(const ReadProbeReply& m) const { core.On(message, m); }
    void operator()(const TimeoutNow& m) const { core.On(message, m); }
  };
  std::visit(Visitor{*this, message}, message.body);
}

// A message to another incarnation of this replica is late, not wrong.
bool Core::AdmitMessage(const Message& message) {
  const bool possible =
      (message.group == options_.group || Planted(Defect::kForeignGroupAdmitted)) &&
      message.to.node == options_.self.node && !message.from.empty() &&
      message.from != options_.self && message.term <= kMaxTerm &&
      (message.term > Term{0} || !IsFromLeader(TypeOf(message)));
  if (!possible) {
    Refuse(message, Refusal::kForeign);
    return false;
  }
  return message.to == options_.self || Planted(Defect::kReplicaEpochIgnored);
}

bool Core::AdoptTerm(const Message& message) {
  if (message.term < hard_state_.term) {
    if (Planted(Defect::kOldAcknowledgementCounts) && leadership_ &&
        !IsFromLeader(TypeOf(message))) {
      return true;
    }
    AnswerOldTerm(message);
    return false;
  }
  if (!IsFromLeader(TypeOf(message))) {
    // A reply to what this replica did not send in that term.
    if (message.term > hard_state_.term) BecomeFollower(message.term, {});
    return leadership_.has_value();
  }
  const bool same_term = message.term == hard_state_.term;
  const bool second = same_term && !leader_.empty() && leader_ != message.from;
  if (second && !Planted(Defect::kSecondLeaderFollowed)) {
    Refuse(message, Refusal::kSecondLeader);
    return false;
  }
  if (!same_term || role_ != Role::kFollower || leader_.empty()) {
    BecomeFollower(message.term, message.from);
  }
  return true;
}

// A deposed leader learns the term, and a replica that went ahead alone is found (trap 3).
void Core::AnswerOldTerm(const Message& message) {
  if (Planted(Defect::kOldTermNotAnswered)) return;
  switch (TypeOf(message)) {
    case MessageType::kAppend:
    case MessageType::kInstall: {
      AppendReply reply;
      reply.rejected = true;
      return Send(message.from, reply);
    }
    case MessageType::kHeartbeat:
    case MessageType::kReadProbe:
      return Send(message.from, HeartbeatReply{});
    default:
      return;
  }
}

Progress* Core::FollowerOf(const Message& message) {
  auto& followers = leadership_->followers;
  auto found = followers.find(message.from);
  if (found == followers.end() && Planted(Defect::kReplicaEpochIgnored)) {
    found = followers.begin();
    while (found != followers.end() && found->first.node != message.from.node) ++found;
  }
  if (found == followers.end()) return nullptr;
  found->second.active = true;
  found->second.ticks_silent = 0;
  return &found->second;
}

}  // namespace varve::raft
