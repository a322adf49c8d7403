#include "storage/segment_writer.h"

#include <gtest/gtest.h>

#include "common/sim/sim_scheduler.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

// Counts what is posted; never runs it.
class CountingExecutor final : public Executor {
 public:
  void Post(Task /*task*/) override { ++posted; }
  TimerId RunAt(MonoTime /*when*/, Task /*task*/) override {
    ++posted;
    return TimerId{1};
  }
  bool Cancel(TimerId /*timer*/) override { return false; }
  [[nodiscard]] bool InExecutor() const override { return false; }
  int posted = 0;
};

// At the end of a process the executors go in any order, and a task of one still runs.
TEST(SegmentWriter, PostsNothingOnceDetached) {
  JournalHost host(1);
  ASSERT_TRUE(host.Start().ok());
  const auto writes = host.scheduler.NewExecutor("writes");
  CountingExecutor syncs;
  const auto reserve = std::make_shared<SpaceReserve>(host.disk, "reserve", SpaceReserve::Sizes{},
                                                      syncs, host.scheduler.clock());
  const auto writer = std::make_shared<SegmentWriter>(
      SegmentWriter::Parts{host.disk, *writes, syncs, host.scheduler.clock(),
                           std::make_shared<DirtyBudget>(1 << 20), reserve, "groups", kSecond, 16});
  writer->SetJournal(host.journal.get());
  writer->RequestSync();
  writer->Drain([](const absl::Status&) { ADD_FAILURE() << "called after the end"; });
  writer->Detach();
  host.scheduler.RunFor(kSecond);
  writer->RequestSync();
  writer->Drain([](const absl::Status&) { ADD_FAILURE() << "called after the end"; });
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(syncs.posted, 0);
}

}  // namespace
}  // namespace varve::storage
