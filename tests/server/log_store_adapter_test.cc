// The adapter between a Raft group and its log: room for what others sent, installs.
#include "server/partition/log_store_adapter.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/directory_host.h"

namespace varve::server {
namespace {

constexpr GroupId kGroup{70'000};

class LogStoreAdapterTest : public testing::Test {
 protected:
  LogStoreAdapterTest() {
    EXPECT_TRUE(host.Open().ok());
    EXPECT_TRUE(host.Create(kGroup).ok());
    adapter = std::make_unique<LogStoreAdapter>(host.log(kGroup), *host.directory, *host.shard);
    host.OnShard([&] { end_ = adapter->end(); });
  }
  ~LogStoreAdapterTest() override { adapter.reset(); }

  // A write as a follower makes it: nobody has taken room for its entries.
  void WriteReceived(size_t value_bytes) {
    LogWrite write;
    write.entries.push_back(storage::DataEntry(kGroup, end_, Term{1}, 1, value_bytes));
    end_ = storage::EndAfter(write.entries.back());
    write.received_bytes = write.entries.back().frame.size();
    Submit(std::move(write));
  }
  void WriteTerm(Term term) {
    LogWrite write;
    write.hard_state = HardState{term, {}};
    Submit(std::move(write));
  }
  void Submit(LogWrite write) {
    host.OnShard([&] {
      adapter->Write(std::move(write), [this, n = ++submitted_](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        done.push_back(n);
      });
    });
  }

  storage::DirectoryHost host{1};
  std::unique_ptr<LogStoreAdapter> adapter;
  std::vector<int> done;

 private:
  LogEnd end_;
  int submitted_ = 0;
};

TEST_F(LogStoreAdapterTest, WhatOthersSentWaitsForRoomAndKeepsItsOrder) {
  const size_t all = host.options.dirty_budget_bytes;
  ASSERT_TRUE(host.directory->TryReserveDirty(all, nullptr));
  WriteReceived(1'000);
  WriteTerm(Term{5});
  WriteReceived(2'000);
  host.scheduler.RunFor(kSecond);
  EXPECT_TRUE(done.empty()) << "a vote does not overtake the entries before it";
  host.directory->ReturnDirty(all);
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(done, (std::vector<int>{1, 2, 3}));
  // What was taken came back when the segments had it.
  host.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
}

TEST_F(LogStoreAdapterTest, AnInstallWithoutItsFilesFailsAndChangesNothing) {
  raft::InstallPoint point;
  point.end = {Index{50}, Term{1}, Offset{49}, WallTime{1}};
  std::optional<absl::Status> outcome;
  host.OnShard([&] {
    adapter->Install(point, {}, [&](absl::Status status) { outcome = std::move(status); });
  });
  host.scheduler.RunFor(kSecond);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(ReasonOf(*outcome), Reason::INTERNAL);
  host.OnShard([&] { EXPECT_LT(adapter->end().last_index, Index{50}); });
  WriteReceived(100);
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(done, std::vector<int>{1});
}

}  // namespace
}  // namespace varve::server
