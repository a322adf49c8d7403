// What every Executor promises, asked of the thread and of the simulated one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/executor.h"
#include "common/sim/sim_scheduler.h"

namespace varve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One executor, and a way to let it work.
class Host {
 public:
  virtual ~Host() = default;
  virtual std::unique_ptr<Executor>& executor() = 0;
  virtual const Clock& clock() = 0;
  // Returns after `count` has been reached; the executor runs meanwhile.
  virtual void WaitFor(const std::atomic<int>& count, int value) = 0;
};

class ThreadHost final : public Host {
 public:
  std::unique_ptr<Executor>& executor() override { return executor_; }
  const Clock& clock() override { return RealClock(); }
  void WaitFor(const std::atomic<int>& count, int value) override {
    for (int now = count.load(); now < value; now = count.load()) count.wait(now);
  }

 private:
  std::unique_ptr<Executor> executor_ = ThreadExecutor("tested");
};

class SimHost final : public Host {
 public:
  std::unique_ptr<Executor>& executor() override { return executor_; }
  const Clock& clock() override { return scheduler_.clock(); }
  void WaitFor(const std::atomic<int>& count, int value) override {
    EXPECT_TRUE(scheduler_.RunUntil([&] { return count >= value; })) << count << " of " << value;
  }

 private:
  SimScheduler scheduler_{42};
  std::unique_ptr<Executor> executor_ = scheduler_.NewExecutor("tested");
};

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<Host>()> make;
};

class ExecutorConformance : public testing::TestWithParam<Implementation> {
 protected:
  Executor& executor() { return *host_->executor(); }
  MonoTime Now() { return host_->clock().Now(); }
  const Clock& clock() { return host_->clock(); }
  void Done() {
    ++done_;
    done_.notify_all();
  }
  void WaitForDone(int value) { host_->WaitFor(done_, value); }
  void Destroy() { host_->executor().reset(); }

 private:
  std::atomic<int> done_ = 0;
  const std::unique_ptr<Host> host_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorConformance,
    testing::Values(Implementation{"Thread", [] { return std::make_unique<ThreadHost>(); }},
                    Implementation{"Simulated", [] { return std::make_unique<SimHost>(); }}),
    [](const auto& tested) { return tested.param.name; });

TEST_P(ExecutorConformance, RunsTasksInTheOrderOfPosting) {
  std::vector<int> ran;
  for (int i = 0; i < 1000; ++i) executor().Post([&ran, i] { ran.push_back(i); });
  executor().Post([&] { Done(); });
  WaitForDone(1);
  ASSERT_EQ(ran.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(ran[i], i);
}

TEST_P(ExecutorConformance, ATaskPostedByATaskRunsBehindTheOthersAndNeverInline) {
  std::vector<std::string> ran;
  executor().Post([&] {
    executor().Post([&] {
      ran.emplace_back("posted");
      Done();
    });
    ran.emplace_back("first");
  });
  executor().Post([&] { Done(); });
  WaitForDone(2);
  EXPECT_THAT(ran, ElementsAre("first", "posted"));
}

TEST_P(ExecutorConformance, InExecutorHoldsOnlyWithinItsTasks) {
  EXPECT_FALSE(executor().InExecutor());
  bool in_task = false;
  bool in_timer = false;
  executor().Post([&] {
    in_task = executor().InExecutor();
    Done();
  });
  executor().RunAt(Now(), [&] {
    in_timer = executor().InExecutor();
    Done();
  });
  WaitForDone(2);
  EXPECT_TRUE(in_task);
  EXPECT_TRUE(in_timer);
  EXPECT_FALSE(executor().InExecutor());
}

TEST_P(ExecutorConformance, TimersRunNotBeforeTheirTimeInOrderOfTimeThenCreation) {
  std::vector<std::string> ran;
  const MonoTime start = Now();
  const MonoTime late = start + 3 * kMillisecond;
  const MonoTime early = start + 2 * kMillisecond;
  MonoTime at_late;
  MonoTime at_early;
  executor().Post([&] {  // within a task: all three wait before the first can run
    executor().RunAt(late, [&] {
      at_late = clock().Now();
      ran.emplace_back("late 1");
      Done();
    });
    executor().RunAt(late, [&] {
      ran.emplace_back("late 2");
      Done();
    });
    executor().RunAt(early, [&] {
      at_early = clock().Now();
      ran.emplace_back("early");
      Done();
    });
  });
  WaitForDone(3);
  EXPECT_THAT(ran, ElementsAre("early", "late 1", "late 2"));
  EXPECT_GE(at_early, early);
  EXPECT_GE(at_late, late);
}

TEST_P(ExecutorConformance, ATimerInThePastRunsSoonAndNotInline) {
  std::vector<std::string> ran;
  executor().Post([&] {
    executor().RunAt(Now() - kSecond, [&] {
      ran.emplace_back("timer");
      Done();
    });
    ran.emplace_back("task");
  });
  WaitForDone(1);
  EXPECT_THAT(ran, ElementsAre("task", "timer"));
}

TEST_P(ExecutorConformance, ATimerThatArmsItselfAgainLetsTasksThrough) {
  int left = 100;
  std::function<void()> again = [&] {
    if (--left > 0) executor().RunAt(Now(), [&] { again(); });
    Done();
  };
  executor().RunAt(Now(), [&] { again(); });
  executor().Post([&] { Done(); });
  WaitForDone(101);
  EXPECT_EQ(left, 0);
}

TEST_P(ExecutorConformance, ACancelledTimerNeverRuns) {
  std::vector<std::string> ran;
  const MonoTime when = Now() + kMillisecond;
  executor().Post([&] {
    const TimerId timer = executor().RunAt(when, [&] { ran.emplace_back("cancelled"); });
    EXPECT_NE(timer, TimerId{});
    EXPECT_TRUE(executor().Cancel(timer));
    EXPECT_FALSE(executor().Cancel(timer));
    EXPECT_FALSE(executor().Cancel(TimerId{}));
    executor().RunAt(when + kMillisecond, [&] { Done(); });
  });
  WaitForDone(1);
  EXPECT_THAT(ran, IsEmpty());
}

TEST_P(ExecutorConformance, ATimerCancelsAnotherThatIsAlreadyDue) {
  TimerId second;
  bool cancelled = false;
  std::vector<std::string> ran;
  executor().Post([&] {
    const MonoTime past = Now() - kSecond;
    executor().RunAt(past, [&] { cancelled = executor().Cancel(second); });
    second = executor().RunAt(past, [&] { ran.emplace_back("second"); });
    executor().RunAt(past, [&] { Done(); });
  });
  WaitForDone(1);
  EXPECT_TRUE(cancelled);
  EXPECT_THAT(ran, IsEmpty());
}

TEST_P(ExecutorConformance, ATimerThatRunsOrHasRunCannotBeCancelled) {
  TimerId timer;
  bool cancelled_within = true;
  executor().Post([&] {
    timer = executor().RunAt(Now(), [&] {
      cancelled_within = executor().Cancel(timer);
      Done();
    });
  });
  WaitForDone(1);
  EXPECT_FALSE(cancelled_within);
  EXPECT_FALSE(executor().Cancel(timer));
}

TEST_P(ExecutorConformance, CancellingDestroysTheTimerAtOnce) {
  const auto held = std::make_shared<int>(1);
  const TimerId timer = executor().RunAt(Now() + 3600 * kSecond, [held] {});
  EXPECT_EQ(held.use_count(), 2);
  EXPECT_TRUE(executor().Cancel(timer));
  EXPECT_EQ(held.use_count(), 1);
}

TEST_P(ExecutorConformance, WhatATaskHoldsIsGoneBeforeTheNextRuns) {
  const auto held = std::make_shared<int>(1);
  long uses = 0;
  executor().Post([&] {
    executor().Post([held] {});
    executor().Post([&] {
      uses = held.use_count();
      Done();
    });
  });
  WaitForDone(1);
  EXPECT_EQ(uses, 1);
}

TEST_P(ExecutorConformance, DestructionDropsWhatWaits) {
  const auto held = std::make_shared<int>(1);
  executor().RunAt(Now() + 3600 * kSecond, [held] { ADD_FAILURE() << "ran"; });
  EXPECT_EQ(held.use_count(), 2);
  Destroy();
  EXPECT_EQ(held.use_count(), 1);
}

// Posts when destroyed, as the reply that a dropped request still owes may do.
class PostsAtEnd {
 public:
  PostsAtEnd(Executor* executor, std::shared_ptr<int> held)
      : executor_(executor), held_(std::move(held)) {}
  PostsAtEnd(PostsAtEnd&& other) noexcept
      : executor_(std::exchange(other.executor_, nullptr)), held_(std::move(other.held_)) {}
  ~PostsAtEnd() {
    if (executor_ == nullptr) return;
    executor_->Post([held = held_] { ADD_FAILURE() << "ran"; });
    executor_->RunAt(MonoTime{}, [held = held_] { ADD_FAILURE() << "ran"; });
    EXPECT_FALSE(executor_->Cancel(TimerId{1}));
  }
  void operator()() {}

 private:
  Executor* executor_;
  std::shared_ptr<int> held_;
};

TEST_P(ExecutorConformance, WhatDroppedTasksPostIsDroppedToo) {
  const auto held = std::make_shared<int>(1);
  executor().RunAt(Now() + 3600 * kSecond, PostsAtEnd(&executor(), held));
  Destroy();
  EXPECT_EQ(held.use_count(), 1);
}

// --- What only threads have

TEST(ThreadExecutorTest, KeepsTheOrderOfEachPostingThread) {
  constexpr int kThreads = 4;
  constexpr int kTasks = 2000;
  const auto executor = ThreadExecutor("order");
  std::array<int, kThreads> next{};  // touched by the executor only
  std::promise<void> done;
  int ran = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        executor->Post([&, t, i] {
          EXPECT_EQ(next[t]++, i);
          if (++ran == kThreads * kTasks) done.set_value();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.get_future().wait();
  EXPECT_EQ(ran, kThreads * kTasks);
}

TEST(ThreadExecutorTest, TimersAreSetAndCancelledFromManyThreads) {
  const auto executor = ThreadExecutor("timers");
  std::atomic<int> ran = 0;
  std::atomic<int> cancelled = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const TimerId timer = executor->RunAt(RealClock().Now() + (i % 3) * 10 * kMicrosecond, [&] {
          ++ran;
          ran.notify_all();
        });
        if (i % 2 == 0 && executor->Cancel(timer)) ++cancelled;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int now = ran; now + cancelled < 2000; now = ran) ran.wait(now);
  EXPECT_EQ(ran + cancelled, 2000);
}

TEST(ThreadExecutorTest, NamesItsThread) {
  const auto executor = ThreadExecutor("journal-writer-of-disk-0");
  std::promise<std::string> name;
  executor->Post([&] {
    std::array<char, 16> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    name.set_value(text.data());
  });
  EXPECT_EQ(name.get_future().get(), "journal-writer-");
}

TEST(ThreadExecutorTest, DestructionLetsTheRunningTaskFinishAndDropsTheRest) {
  std::promise<void> started;
  bool finished = false;
  const auto held = std::make_shared<int>(1);
  auto executor = ThreadExecutor("stop");
  executor->Post([&, tested = executor.get()] {
    started.set_value();
    // Only once destruction has begun is a timer refused.
    const MonoTime far = RealClock().Now() + 3600 * kSecond;
    while (tested->Cancel(tested->RunAt(far, [] {}))) std::this_thread::yield();
    finished = true;
  });
  executor->Post([held] { ADD_FAILURE() << "ran"; });
  started.get_future().wait();
  executor.reset();
  EXPECT_TRUE(finished);
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace varve
