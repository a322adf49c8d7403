#include "common/types.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <unordered_set>

#include "absl/container/flat_hash_set.h"
#include "common/strings.h"

namespace varve {
namespace {

// Nothing slips from one noun into another, nor into a number.
static_assert(!std::is_convertible_v<int64_t, Offset>);
static_assert(!std::is_convertible_v<Offset, int64_t>);
static_assert(!std::is_constructible_v<Offset, Index>);
static_assert(!std::is_constructible_v<Index, Term>);
static_assert(!std::is_assignable_v<Offset&, int64_t>);
template <class A, class B>
concept Comparable = requires(A a, B b) {
  a == b;
};
static_assert(Comparable<Offset, Offset>);
static_assert(!Comparable<Offset, Index>);
static_assert(!Comparable<Offset, int64_t>);
static_assert(std::is_trivially_copyable_v<Offset> && sizeof(Offset) == 8);
static_assert(sizeof(NodeId) == 4 && sizeof(ReplicaId) == 8);

TEST(StrongIntTest, StartsAtZeroAndComparesAsItsNumber) {
  EXPECT_EQ(Offset{}.value(), 0);
  EXPECT_LT(Offset{-1}, Offset{0});
  EXPECT_LT(Index{1}, Index{std::numeric_limits<uint64_t>::max()});
  EXPECT_EQ(Term{3}, Term{3});
}

TEST(StrongIntTest, StepsKeepTheTypeAndDistancesAreCounts) {
  Offset at{5};
  EXPECT_EQ(++at, Offset{6});
  EXPECT_EQ(at + 4, Offset{10});
  EXPECT_EQ(at - 4, Offset{2});
  const int64_t distance = Offset{10} - Offset{4};
  EXPECT_EQ(distance, 6);
}

TEST(StrongIntTest, PrintsItsNumber) {
  std::ostringstream out;
  out << Offset{-7} << " " << NodeId{3};
  EXPECT_EQ(out.str(), "-7 3");
  EXPECT_EQ(StrCat("offset ", Offset{12}, " of ", GroupId{70000}), "offset 12 of 70000");
}

TEST(StrongIntTest, HashesLikeItsNumber) {
  EXPECT_EQ(std::hash<Index>{}(Index{9}), std::hash<uint64_t>{}(9));
  EXPECT_EQ((std::unordered_set<Index>{Index{1}, Index{1}, Index{2}}.size()), 2U);
  EXPECT_EQ((absl::flat_hash_set<Offset>{Offset{1}, Offset{1}, Offset{2}}.size()), 2U);
}

TEST(ReplicaIdTest, IsEmptyWithoutANodeAndOrdersByNodeThenEpoch) {
  EXPECT_TRUE(ReplicaId{}.empty());
  EXPECT_FALSE((ReplicaId{NodeId{1}, ReplicaEpoch{}}.empty()));
  EXPECT_LT((ReplicaId{NodeId{1}, ReplicaEpoch{9}}), (ReplicaId{NodeId{2}, ReplicaEpoch{1}}));
  EXPECT_LT((ReplicaId{NodeId{1}, ReplicaEpoch{1}}), (ReplicaId{NodeId{1}, ReplicaEpoch{2}}));
}

TEST(ReservedIdsTest, LeaveRoomForInternalPartitions) {
  EXPECT_LT(kMetadataGroup, kFirstTopicGroup);
  EXPECT_NE(kMetadataGroup, GroupId{});
  EXPECT_EQ(kMaxTerm.value(), static_cast<uint64_t>(std::numeric_limits<int32_t>::max()));
}

TopicId Sample() {
  TopicId id;
  for (size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<uint8_t>(i * 17);
  return id;
}

TEST(Id128Test, FormatsInGroupsOfLowerCaseHexadecimal) {
  EXPECT_EQ(Sample().ToString(), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(TopicId{}.ToString(), "00000000-0000-0000-0000-000000000000");
  EXPECT_TRUE(TopicId{}.empty());
  EXPECT_FALSE(Sample().empty());
}

TEST(Id128Test, ParsesWhatItFormats) {
  TopicId parsed;
  ASSERT_TRUE(TopicId::Parse(Sample().ToString(), &parsed));
  EXPECT_EQ(parsed, Sample());
}

TEST(Id128Test, RefusesEverythingElseAndLeavesTheResultAlone) {
  for (const std::string_view text : {
           "",
           "00112233-4455-6677-8899-aabbccddeef",
           "00112233-4455-6677-8899-aabbccddeeff0",
           "00112233-4455-6677-8899-AABBCCDDEEFF",
           "00112233x4455-6677-8899-aabbccddeeff",
           "0011223-34455-6677-8899-aabbccddeeff",
           "00112233-4455-6677-8899-aabbccddeefg",
           "00112233445566778899aabbccddeeff",
           "{0112233-4455-6677-8899-aabbccddeef}",
       }) {
    TopicId parsed = Sample();
    EXPECT_FALSE(TopicId::Parse(text, &parsed)) << text;
    EXPECT_EQ(parsed, Sample()) << text;
  }
}

}  // namespace
}  // namespace varve
