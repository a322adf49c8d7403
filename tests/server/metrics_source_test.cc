#include "server/process/metrics_source.h"

#include <gtest/gtest.h>

#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

// Simulated threads stand still while the page is made: the worst that can happen to a scrape.
TEST(MetricsSource, ThreadsThatStandStillHoldNoScrapeUp) {
  SimBroker sim(1);
  sim.CreateTopic("t", 5);
  AdminView view{.files = sim.disk(), .data_dir = "/", .started = WallTime{}};
  view.broker.store(&sim.broker());
  MetricsSource source(view);
  MetricsInput first = source.Collect();
  ASSERT_TRUE(first.broker.has_value());
  EXPECT_GT(first.broker->shards, 0);
  EXPECT_EQ(first.broker->shards_stalled, first.broker->shards);
  EXPECT_EQ(first.broker->census.leaders, 0) << "nothing is known yet";
  EXPECT_EQ(first.broker->cluster.brokers, 1);
  EXPECT_TRUE(first.broker->cluster.is_controller);
  EXPECT_GE(first.broker->totals.elections, 6);

  // The answer comes late, and is shown the next time.
  sim.scheduler.RunFor(10 * kMillisecond);
  const MetricsInput second = source.Collect();
  EXPECT_EQ(second.broker->shards_stalled, second.broker->shards);
  EXPECT_EQ(second.broker->census.leaders, 6) << "five partitions and the metadata";
  EXPECT_EQ(second.broker->census.without_leader, 0);
  EXPECT_EQ(second.broker->census.under_replicated, 0);
}

TEST(MetricsSource, OutlivesABrokerThatAnswersLate) {
  AdminView view{.files = RealFileSystem(), .data_dir = "/", .started = WallTime{}};
  SimBroker sim(2);
  view.broker.store(&sim.broker());
  {
    MetricsSource source(view);
    (void)source.Collect();
  }
  sim.scheduler.RunFor(10 * kMillisecond);  // the shards' answers find nobody
}

TEST(MetricsSource, ShowsTheProcessWithoutABroker) {
  AdminView view{.files = RealFileSystem(), .data_dir = "/", .started = WallTime(5)};
  const MetricsInput input = MetricsSource(view).Collect();
  EXPECT_FALSE(input.ready);
  EXPECT_FALSE(input.broker.has_value());
  EXPECT_EQ(input.started, WallTime(5));
}

}  // namespace
}  // namespace varve::server
