#include "raft/core/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace varve::raft {
namespace {

ReplicaId Replica(uint32_t node) { return {NodeId{node}, ReplicaEpoch{1}}; }

Configuration Of(std::vector<uint32_t> voters, std::vector<uint32_t> outgoing = {}) {
  Configuration configuration;
  for (const uint32_t node : voters) configuration.voters.push_back(Replica(node));
  for (const uint32_t node : outgoing) configuration.outgoing.push_back(Replica(node));
  return configuration;
}

std::map<ReplicaId, Index> Held(const std::map<uint32_t, uint64_t>& by_node) {
  std::map<ReplicaId, Index> held;
  for (const auto& [node, index] : by_node) held[Replica(node)] = Index{index};
  return held;
}

// What a voter holds, and whether it granted; nothing for those that are absent.
auto In(std::map<ReplicaId, Index> held) {
  return [held = std::move(held)](ReplicaId voter) {
    const auto found = held.find(voter);
    return found == held.end() ? Index{} : found->second;
  };
}
auto In(std::set<ReplicaId> granted) {
  return [granted = std::move(granted)](ReplicaId voter) { return granted.contains(voter); };
}

TEST(MajorityIndexTest, IsTheLargestIndexThatEveryMajorityHolds) {
  struct Case {
    const char* name;
    Configuration configuration;
    std::map<uint32_t, uint64_t> held;
    uint64_t expected;
  };
  const Case cases[] = {
      {"no voters", Of({}), {{1, 9}}, 0},
      {"one voter", Of({1}), {{1, 9}}, 9},
      {"one voter that holds nothing", Of({1}), {}, 0},
      {"others do not count", Of({1}), {{1, 4}, {2, 9}}, 4},
      {"two voters need both", Of({1, 2}), {{1, 9}, {2, 4}}, 4},
      {"three voters, two suffice", Of({1, 2, 3}), {{1, 9}, {2, 4}}, 4},
      {"three voters, without the leader", Of({1, 2, 3}), {{2, 7}, {3, 8}}, 7},
      {"four voters need three", Of({1, 2, 3, 4}), {{1, 9}, {2, 8}, {3, 3}}, 3},
      {"five voters", Of({1, 2, 3, 4, 5}), {{1, 9}, {2, 8}, {3, 3}, {4, 2}}, 3},
      {"joint needs both", Of({1, 2, 3}, {3, 4, 5}), {{1, 9}, {2, 9}, {3, 9}}, 0},
      {"joint takes the lower", Of({1, 2, 3}, {1, 4, 5}), {{1, 9}, {2, 9}, {4, 5}}, 5},
      {"joint of the same voter", Of({1}, {1}), {{1, 6}}, 6},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(MajorityIndex(c.configuration, In(Held(c.held))), Index{c.expected}) << c.name;
  }
}

TEST(MajorityIndexTest, KeepsIncarnationsOfANodeApart) {
  const std::map<ReplicaId, Index> held = {{{NodeId{1}, ReplicaEpoch{2}}, Index{9}}};
  EXPECT_EQ(MajorityIndex(Of({1}), In(held)), Index{0});
}

// The definition itself: more than half of each non-empty list holds at least the index.
bool NaiveMajorityHolds(const Configuration& configuration, const std::map<ReplicaId, Index>& held,
                        Index index) {
  for (const auto* list : {&configuration.voters, &configuration.outgoing}) {
    size_t holding = 0;
    for (const ReplicaId& voter : *list) {
      if (held.contains(voter) && held.at(voter) >= index) ++holding;
    }
    const bool must = list == &configuration.voters || !list->empty();
    if (must && 2 * holding <= list->size()) return false;
  }
  return true;
}

Index NaiveMajorityIndex(const Configuration& configuration,
                         const std::map<ReplicaId, Index>& held) {
  Index best{};
  for (const auto& [replica, index] : held) {
    if (index > best && NaiveMajorityHolds(configuration, held, index)) best = index;
  }
  return best;
}

TEST(QuorumTest, AgreesWithTheDefinitionOnRandomConfigurations) {
  constexpr uint64_t kSeed = 20'240'811;
  std::mt19937_64 random(kSeed);
  const auto below = [&](uint64_t n) { return random() % n; };
  for (int round = 0; round < 20'000; ++round) {
    Configuration configuration;
    std::map<ReplicaId, Index> held;
    std::set<ReplicaId> granted;
    const bool joint = below(2) == 0;
    for (uint32_t node = 1; node <= 9; ++node) {
      if (below(2) == 0) configuration.voters.push_back(Replica(node));
      if (joint && below(2) == 0) configuration.outgoing.push_back(Replica(node));
      if (below(4) != 0) held[Replica(node)] = Index{below(6)};
      if (below(2) == 0) granted.insert(Replica(node));
    }
    ASSERT_EQ(MajorityIndex(configuration, In(held)), NaiveMajorityIndex(configuration, held))
        << "seed " << kSeed << " round " << round;
    std::map<ReplicaId, Index> ballots;
    for (const ReplicaId& voter : granted) ballots[voter] = Index{1};
    ASSERT_EQ(HasMajority(configuration, In(granted)),
              NaiveMajorityHolds(configuration, ballots, Index{1}))
        << "seed " << kSeed << " round " << round;
  }
}

// Figure 8 of the Raft paper: five replicas; the entry at index 2 is of term 2; the leader of term
// 4 has its first entry at index 3.
TEST(CommittableIndexTest, OlderTermsCommitOnlyThroughAnEntryOfTheLeadersTerm) {
  struct Case {
    const char* name;
    std::map<uint32_t, uint64_t> durable;
    uint64_t expected;
  };
  const Case cases[] = {
      {"(c): a majority holds only the older entry", {{1, 3}, {2, 2}, {3, 2}, {4, 1}, {5, 1}}, 0},
      {"all hold the older entry", {{1, 3}, {2, 2}, {3, 2}, {4, 2}, {5, 2}}, 0},
      {"(e): a majority holds the leader's entry", {{1, 3}, {2, 3}, {3, 3}, {4, 1}, {5, 1}}, 3},
      {"a majority without the leader's own disk", {{1, 2}, {2, 4}, {3, 3}, {4, 3}, {5, 1}}, 3},
      {"a later entry of the term", {{1, 6}, {2, 5}, {3, 5}, {4, 3}, {5, 1}}, 5},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CommittableIndex(Of({1, 2, 3, 4, 5}), In(Held(c.durable)), Index{3}),
              Index{c.expected})
        << c.name;
  }
}

// All majorities of a configuration of nodes 1 to 5, as sets of bits.
std::vector<uint32_t> MajoritiesOf(const Configuration& configuration) {
  std::vector<uint32_t> majorities;
  for (uint32_t set = 0; set < 32; ++set) {
    const auto in = [&](ReplicaId replica) { return (set >> (replica.node.value() - 1) & 1) != 0; };
    if (HasMajority(configuration, in)) majorities.push_back(set);
  }
  return majorities;
}

// What a step is for: two leaders, one by each configuration, would need a voter in common.
TEST(FollowsInOneStepTest, MajoritiesOfNeighboursMeet) {
  constexpr uint64_t kSeed = 20'261'123;
  std::mt19937_64 random(kSeed);
  const auto draw = [&](bool joint) {
    Configuration configuration;
    for (uint32_t node = 1; node <= 5; ++node) {
      if (random() % 2 == 0) configuration.voters.push_back(Replica(node));
      if (joint && random() % 2 == 0) configuration.outgoing.push_back(Replica(node));
    }
    return configuration;
  };
  int steps = 0;
  for (int round = 0; round < 30'000; ++round) {
    const Configuration now = draw(random() % 3 == 0);
    Configuration next = draw(random() % 3 == 0);
    if (random() % 3 == 0) next.outgoing = now.voters;
    if (random() % 4 == 0) next.voters = now.outgoing;
    if (now.voters.empty() || !FollowsInOneStep(now, next)) continue;
    ++steps;
    for (const uint32_t one : MajoritiesOf(now)) {
      for (const uint32_t other : MajoritiesOf(next)) {
        ASSERT_NE(one & other, 0u) << "seed " << kSeed << " round " << round;
      }
    }
  }
  EXPECT_GT(steps, 1'000);
}

TEST(FollowsInOneStepTest, TakesEachKindOfStepAndNoOther) {
  struct Case {
    const char* name;
    Configuration now;
    Configuration next;
    bool expected;
  };
  const Case cases[] = {
      {"nothing but learners", Of({1, 2, 3}), Of({1, 2, 3}), true},
      {"one more", Of({1, 2, 3}), Of({1, 2, 3, 4}), true},
      {"one less", Of({1, 2, 3}), Of({1, 2}), true},
      {"one for another", Of({1, 2, 3}), Of({1, 2, 4}), false},
      {"nobody left", Of({1}), Of({}), false},
      {"joint", Of({1, 2, 3}), Of({1, 4, 5}, {1, 2, 3}), true},
      {"joint with others", Of({1, 2, 3}), Of({1, 4, 5}, {1, 2}), false},
      {"leave", Of({1, 4, 5}, {1, 2, 3}), Of({1, 4, 5}), true},
      {"cancel", Of({1, 4, 5}, {1, 2, 3}), Of({1, 2, 3}), true},
      {"leave for others", Of({1, 4, 5}, {1, 2, 3}), Of({1, 4}), false},
      {"from joint to joint", Of({1, 4, 5}, {1, 2, 3}), Of({1, 2, 4}, {1, 4, 5}), false},
  };
  for (const Case& c : cases) EXPECT_EQ(FollowsInOneStep(c.now, c.next), c.expected) << c.name;
}

TEST(IsSoleVoterTest, NeedsToBeAloneInEveryList) {
  EXPECT_TRUE(IsSoleVoter(Of({1}), Replica(1)));
  EXPECT_TRUE(IsSoleVoter(Of({1}, {1}), Replica(1)));
  EXPECT_FALSE(IsSoleVoter(Of({}), Replica(1)));
  EXPECT_FALSE(IsSoleVoter(Of({2}), Replica(1)));
  EXPECT_FALSE(IsSoleVoter(Of({1, 2}), Replica(1)));
  EXPECT_FALSE(IsSoleVoter(Of({1}, {1, 2}), Replica(1)));
  EXPECT_FALSE(IsSoleVoter(Of({1}, {2}), Replica(1)));
}

}  // namespace
}  // namespace varve::raft
