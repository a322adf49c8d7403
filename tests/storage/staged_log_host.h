// StagedLogTest: a log to be staged, and a directory beside it that stages it.
#ifndef VARVE_TESTS_STORAGE_STAGED_LOG_HOST_H_
#define VARVE_TESTS_STORAGE_STAGED_LOG_HOST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "storage/staged_log.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {

inline constexpr ReplicaId kVoter{NodeId{1}, ReplicaEpoch{1}};

// The fixture's log is the peer's: what it holds is staged at `target`.
class StagedLogTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    for (int i = 0; i < 4; ++i) {
      script.Append(5, 700);
      script.Roll();
    }
    script.Append(3, 300);
    script.NewTerm();
    script.Append(2, 100);
    script.Commit(script.image().end().last_index);
    Settle();
    ASSERT_TRUE(target.Open().ok());
    ASSERT_TRUE(target.Create(kGroup).ok());
  }

  const std::vector<Entry>& entries() const { return script.image().entries; }
  // [first, last] by index.
  std::vector<Entry> Entries(Index first, Index last) const {
    std::vector<Entry> out;
    for (const Entry& entry : entries()) {
      if (entry.header.first_index >= first && entry.header.last_index <= last) {
        out.push_back(entry);
      }
    }
    return out;
  }
  std::vector<Index> SegmentStarts() const {
    std::vector<Index> out;
    for (const Entry& entry : entries()) {
      if (entry.header.kind == EntryKind::kMeta && IsSegmentStart(entry.payload())) {
        out.push_back(entry.header.first_index);
      }
    }
    return out;
  }

  static absl::Status Wait(DirectoryHost& on,
                           const std::function<void(PartitionLog::Done)>& begin) {
    auto result = std::make_shared<std::optional<absl::Status>>();
    on.OnShard([&] { begin([result](absl::Status status) { *result = std::move(status); }); });
    if (!on.scheduler.RunUntil([&] { return result->has_value(); }, 10 * kSecond)) {
      return absl::DeadlineExceededError("no answer");
    }
    return **result;
  }
  // In pieces of `piece` entries.
  absl::Status StageAt(DirectoryHost& on, std::vector<Entry> what, size_t piece,
                       std::unique_ptr<StagedLog>* staged) {
    on.OnShard([&] { *staged = on.log(kGroup).Stage(); });
    for (size_t at = 0; at < what.size(); at += piece) {
      std::vector<Entry> some(
          what.begin() + static_cast<std::ptrdiff_t>(at),
          what.begin() + static_cast<std::ptrdiff_t>(std::min(what.size(), at + piece)));
      absl::Status status = Wait(on, [&](PartitionLog::Done done) {
        (*staged)->Append(std::move(some), std::move(done));
      });
      if (!status.ok()) return status;
    }
    return Wait(on, [&](PartitionLog::Done done) { (*staged)->Finish(std::move(done)); });
  }
  InstalledLog WholeLog() const {
    InstalledLog as;
    as.start = script.image().start;
    as.configurations.committed = {Index{0}, OneVoter()};
    as.consistent_from = Index{3};
    return as;
  }
  absl::Status InstallAt(DirectoryHost& on, std::vector<Entry> what, const InstalledLog& as,
                         size_t piece = 4) {
    std::unique_ptr<StagedLog> staged;
    LogWrite term;
    term.hard_state = HardState{Term{9}, kVoter};
    absl::Status status = on.Write(kGroup, std::move(term));
    if (status.ok()) status = StageAt(on, std::move(what), piece, &staged);
    if (!status.ok()) {
      on.OnShard([&] { staged.reset(); });
      return status;
    }
    return Wait(on, [&](PartitionLog::Done done) {
      on.log(kGroup).Install(std::move(staged), as, std::move(done));
    });
  }
  void ExpectHolds(DirectoryHost& on, const std::vector<Entry>& wanted) {
    const auto image = on.Image(kGroup);
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_EQ(image->entries.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(image->entries[i].frame.view(), wanted[i].frame.view()) << i;
    }
    const PartitionLog& log = on.log(kGroup);
    EXPECT_EQ(log.end(), EndAfter(wanted.back()));
    EXPECT_EQ(log.ends().back(), log.end());
    EXPECT_EQ(log.commit_index(), log.end().last_index);
  }
  // The log takes writes behind its end.
  void ExpectGoesOn(DirectoryHost& on) {
    const LogEnd end = on.log(kGroup).end();
    LogWrite write;
    write.entries.push_back(DataEntry(kGroup, end, Term{9}, 2, 50));
    ASSERT_TRUE(on.Write(kGroup, std::move(write)).ok());
    const auto read = on.Read(kGroup, end.last_index + 1, end.last_index + 1, 1 << 20);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->entries.size(), 1u);
  }
  size_t FilesAt(DirectoryHost& on) {
    size_t files = 0;
    const auto listed = on.disk.List(JoinPath("data/groups", GroupDirectoryName(kGroup)));
    for (const DirectoryEntry& entry : *listed) files += entry.name.ends_with(".log") ? 1 : 0;
    return files;
  }

  DirectoryHost target{8};
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_STAGED_LOG_HOST_H_
