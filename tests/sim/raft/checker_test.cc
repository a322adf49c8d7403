// Checkers that no planted defect fires first: each sees its violation, and
// nothing in the lawful twin of it.
#include <gtest/gtest.h>

#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

const ReplicaId kOne{NodeId{1}, ReplicaEpoch{1}};
const ReplicaId kTwo{NodeId{2}, ReplicaEpoch{1}};

SimEntry EntryAt(uint64_t index, uint64_t term, uint64_t payload) {
  SimEntry entry;
  entry.index = Index{index};
  entry.term = Term{term};
  entry.base_offset = Offset{static_cast<int64_t>(index) - 1};
  entry.next_offset = entry.base_offset + 1;
  entry.payload = payload;
  return entry;
}

// A sole voter `id` becomes leader of `term` with its vote durable.
std::string Elect(Checker& checker, ReplicaId id, uint64_t term) {
  Configuration alone;
  alone.voters = {id};
  LogImage log;
  log.hard_state = {Term{term}, id};
  const Outbox nothing;
  Step step;
  step.view = {id, &log, &log, false};
  step.before.term = Term{term};
  step.before.configuration = std::make_shared<const Configuration>(alone);
  step.after = step.before;
  step.after.role = Role::kLeader;
  step.effects = &nothing;
  checker.OnStep(step);
  return checker.violation().substr(0, 3);
}

TEST(Checkers, TwoLeadersOfOneTermBreakI1) {
  const Ledger ledger;
  const auto checker = ElectionChecker(&ledger);
  EXPECT_EQ(Elect(*checker, kOne, 2), "");
  EXPECT_EQ(Elect(*checker, kTwo, 3), "");
  EXPECT_EQ(Elect(*checker, kOne, 3), "I1:");
}

// `id` appends `entry` to `log`.
std::string Append(Checker& checker, ReplicaId id, LogImage* log, const SimEntry& entry) {
  Outbox out;
  out.disk.emplace_back().entries.push_back(entry);
  Step step;
  step.view = {id, log, log, false};
  step.effects = &out;
  checker.OnWrite(step.view, step.before, step.after, out.disk.front());
  log->Append(entry);
  checker.OnStep(step);
  return checker.violation().substr(0, 4);
}

TEST(Checkers, AnotherPrefixUnderEqualIndexAndTermBreaksI4) {
  const auto checker = LogChecker();
  LogImage one, two;
  EXPECT_EQ(Append(*checker, kOne, &one, EntryAt(1, 1, 10)), "");
  EXPECT_EQ(Append(*checker, kOne, &one, EntryAt(2, 2, 20)), "");
  EXPECT_EQ(Append(*checker, kTwo, &two, EntryAt(1, 2, 11)), "");
  EXPECT_EQ(Append(*checker, kTwo, &two, EntryAt(2, 2, 20)), "I4: ");
}

TEST(Checkers, FallingTermsBreakI17) {
  const auto checker = LogChecker();
  LogImage log;
  EXPECT_EQ(Append(*checker, kOne, &log, EntryAt(1, 3, 10)), "");
  EXPECT_EQ(Append(*checker, kOne, &log, EntryAt(2, 2, 20)), "I17:");
}

TEST(Checkers, InstallOfUncommittedEntriesBreaksI12) {
  LogImage image;
  image.Append(EntryAt(1, 1, 10));
  Ledger ledger;
  ledger.entries.push_back({image.entries.front(), Term{1}});
  const LogImage empty;
  DiskWrite write;
  write.install = std::make_shared<const LogImage>(image);
  const auto checker = MembershipChecker(&ledger);
  checker->OnWrite({kTwo, &empty, &empty, false}, {}, {}, write);
  EXPECT_EQ(checker->violation(), "");
  image.Append(EntryAt(2, 1, 20));
  write.install = std::make_shared<const LogImage>(image);
  checker->OnWrite({kTwo, &empty, &empty, false}, {}, {}, write);
  EXPECT_EQ(checker->violation().substr(0, 4), "I12:");
}

TEST(Checkers, AcknowledgementOfAnotherEntryBreaksI14) {
  Ledger ledger;
  ledger.entries.push_back({EntryAt(1, 1, 10), Term{1}});
  const auto checker = ClientChecker(&ledger);
  Outbox out;
  Step step;
  step.view.id = kOne;
  step.effects = &out;
  out.results.push_back({10, Outcome::kCommitted, Index{1}});
  checker->OnStep(step);
  EXPECT_EQ(checker->violation(), "");
  out.results.push_back({11, Outcome::kCommitted, Index{1}});
  checker->OnStep(step);
  EXPECT_EQ(checker->violation().substr(0, 4), "I14:");
}

TEST(Checkers, TrafficOfAnIdleGroupBreaksL4) {
  Ending ending;
  ending.healed = true;
  ending.leaders = 1;
  ending.converged = true;
  const auto calm = EndChecker();
  calm->AtEnd(ending);
  EXPECT_EQ(calm->violation(), "");
  ending.idle_other_messages = 1;
  const auto busy = EndChecker();
  busy->AtEnd(ending);
  EXPECT_EQ(busy->violation().substr(0, 3), "L4:");
}

}  // namespace
}  // namespace varve::raftsim
