#include "raft/core/message.h"

namespace varve::raft {

MessageType TypeOf(const Message& message) {
  struct Visitor {
    MessageType operator()(const VoteRequest& m) const {
      return m.pre ? MessageType::kPreVote : MessageType::kVote;
    }
    MessageType operator()(const VoteReply& m) const {
      return m.pre ? MessageType::kPreVoteReply : MessageType::kVoteReply;
    }
    MessageType operator()(const AppendRequest&) const { return MessageType::kAppend; }
    MessageType operator()(const AppendReply&) const { return MessageType::kAppendReply; }
    MessageType operator()(const Heartbeat&) const { return MessageType::kHeartbeat; }
    MessageType operator()(const HeartbeatReply&) const { return MessageType::kHeartbeatReply; }
    MessageType operator()(const InstallRequest&) const { return MessageType::kInstall; }
    MessageType operator()(const InstallReply&) const { return MessageType::kInstallReply; }
    MessageType operator()(const ReadProbe&) const { return MessageType::kReadProbe; }
    MessageType operator()(const ReadProbeReply&) const { return MessageType::kReadProbeReply; }
    MessageType operator()(const TimeoutNow&) const { return MessageType::kTimeoutNow; }
  };
  return std::visit(Visitor{}, message.body);
}

std::string_view NameOf(MessageType type) {
  static constexpr std::string_view kNames[kMessageTypes] = {
      "pre_vote",   "pre_vote_reply",  "vote",    "vote_reply",    "append",     "append_reply",
      "heartbeat",  "heartbeat_reply", "install", "install_reply", "read_probe", "read_probe_reply",
      "timeout_now"};
  return kNames[static_cast<size_t>(type)];
}

bool IsFromLeader(MessageType type) {
  switch (type) {
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kInstall:
    case MessageType::kReadProbe:
    case MessageType::kTimeoutNow:
      return true;
    default:
      return false;
  }
}

bool IsBulk(MessageType type) {
  return type == MessageType::kAppend || type == MessageType::kInstall;
}

}  // namespace varve::raft
