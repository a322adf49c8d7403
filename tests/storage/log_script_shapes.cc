// Writes of LogScript that meet each other: the same shapes again in the same places, and several
// at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "common/meta_entry.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {

void LogScript::AppendShaped(int entries, size_t value_bytes) {
  LogImage after = image();
  LogWrite write;
  for (int i = 0; i < entries; ++i) {
    after.entries.push_back(DataEntry(group_, after.end(), after.hard_state.term, 1, value_bytes));
    write.entries.push_back(after.entries.back());
  }
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Rewrite(Index from, size_t value_bytes, int64_t later) {
  LogImage after = image();
  std::vector<EntryKind> kinds;
  for (; after.end().last_index >= from; after.entries.pop_back())
    kinds.push_back(after.entries.back().header.kind);
  std::reverse(kinds.begin(), kinds.end());
  LogWrite write;
  write.truncate_from = from;
  after.hard_state = {after.hard_state.term + 1, {}};
  write.hard_state = after.hard_state;
  after.ApplyTrims(false);
  for (const EntryKind kind : kinds) {
    LogEnd end = after.end();
    end.append_time = end.append_time + std::exchange(later, 0);
    const Term term = after.hard_state.term;
    after.entries.push_back(kind == EntryKind::kData
                                ? DataEntry(group_, end, term, 1, value_bytes)
                                : RollEntry(group_, end, term, after.epochs()));
    write.entries.push_back(after.entries.back());
  }
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::LetGo(Nanos after) {
  holds_ = false;
  for (const HeldWrite& held : held_) {
    size_t bytes = 0;
    for (const Entry& entry : held.write.entries)
      if (!entry.header.zero_width()) bytes += entry.frame.size();
    const auto room = [&] { return host_->directory->TryReserveDirty(bytes, nullptr); };
    EXPECT_TRUE(bytes == 0 || host_->scheduler.RunUntil(room, 10 * kSecond));
  }
  auto write = [this, held = std::exchange(held_, {})]() mutable {
    for (HeldWrite& each : held)
      host_->log(group_).Write(std::move(each.write), std::move(each.done));
  };
  if (after == 0) return host_->OnShard(std::move(write));
  host_->shard->RunAt(host_->scheduler.clock().Now() + after, std::move(write));
}

bool LogScript::SomeImage(absl::FunctionRef<bool(const LogImage&)> explains) const {
  return std::any_of(images_.begin() + static_cast<ptrdiff_t>(acknowledged_), images_.end(),
                     [&](const LogImage& image) { return explains(image); });
}

}  // namespace varve::storage
