// Commands about messages: deliver, drop, stabilize, transfer.
#include <algorithm>
#include <set>

#include "common/error.h"
#include "tests/raft/script/script.h"

namespace varve::raft {
namespace {

absl::StatusOr<std::optional<MessageType>> TypeOption(const Command& command) {
  const auto name = command.option("type");
  if (!name) return std::optional<MessageType>();
  for (size_t i = 0; i < kMessageTypes; ++i) {
    const auto type = static_cast<MessageType>(i);
    if (NameOf(type) == *name) return std::optional<MessageType>(type);
  }
  return MakeError(Reason::INVALID_REQUEST, "no message is of type '", *name, "'");
}

}  // namespace

absl::Status Script::Stabilize(const Command& command) {
  std::set<uint64_t> ids;
  for (const std::string& argument : command.arguments) {
    const auto id = Find(argument);
    if (!id.ok()) return id.status();
    ids.insert(*id);
  }
  if (cluster_->Stabilize(ids)) return absl::OkStatus();
  return MakeError(Reason::INVALID_REQUEST, "the nodes do not settle: messages go on for ever");
}

// deliver and drop.
absl::Status Script::Deliver(const Command& command, uint64_t to) {
  const std::string how =
      command.name == "drop" ? "drop" : (command.arguments.size() < 2 ? "" : command.arguments[1]);
  if (how != "" && how != "drop" && how != "dup" && how != "last") {
    return MakeError(Reason::INVALID_REQUEST, "deliver does not know '", how, "'");
  }
  std::optional<uint64_t> from;
  if (const auto text = command.option("from")) {
    const auto id = Find(std::string(*text));
    if (!id.ok()) return id.status();
    from = *id;
  }
  const auto type = TypeOption(command);
  if (!type.ok()) return type.status();
  const auto matches = [&](const Message& message) {
    return message.to.node.value() == to && (!from || message.from.node.value() == *from) &&
           (!*type || TypeOf(message) == **type);
  };
  std::deque<Message>& messages = cluster_->messages();
  if (how == "drop") {
    cluster_->Drop(matches);
  } else if (how == "last") {
    const auto newest = std::find_if(messages.rbegin(), messages.rend(), matches);
    if (newest == messages.rend()) return absl::OkStatus();
    size_t others =
        static_cast<size_t>(std::count_if(messages.begin(), messages.end(), matches)) - 1;
    cluster_->Deliver([&](const Message& message) { return matches(message) && others-- == 0; });
  } else {
    std::deque<Message> again;
    if (how == "dup")
      std::copy_if(messages.begin(), messages.end(), std::back_inserter(again), matches);
    cluster_->Deliver(matches);
    messages.insert(messages.end(), again.begin(), again.end());
  }
  return absl::OkStatus();
}

absl::Status Script::Transfer(const Command& command, uint64_t from) {
  const auto to = Find(command.arguments[1]);
  if (!to.ok()) return to.status();
  cluster_->Step(from, raft::Transfer{cluster_->node(*to).self});
  return absl::OkStatus();
}

}  // namespace varve::raft
