#include "common/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/error.h"
#include "common/limits.h"

namespace varve {
namespace {

using ::testing::HasSubstr;

ReplicaId R(uint32_t node, uint32_t epoch = 1) { return {NodeId{node}, ReplicaEpoch{epoch}}; }

Configuration Joint() {
  Configuration out;
  out.voters = {R(1), R(2), R(4, 2)};
  out.outgoing = {R(1), R(2), R(3)};
  out.learners = {R(7)};
  out.learners_next = {R(3)};
  out.auto_leave = true;
  return out;
}

std::string Encoded(const std::vector<std::vector<ReplicaId>>& lists, uint16_t version = 1,
                    uint8_t auto_leave = 0, uint8_t padding = 0) {
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(version);
  out.Put(auto_leave);
  out.Put(padding);
  for (const auto& list : lists) {
    out.Put(static_cast<uint32_t>(list.size()));
    for (const ReplicaId& replica : list) {
      out.Put(replica.node.value());
      out.Put(replica.epoch.value());
    }
  }
  return bytes;
}

TEST(Configuration, KeepsItsBytes) {
  Configuration simple;
  simple.voters = {R(1), R(0x0203, 4)};
  const std::string expected(
      "\1\0\0\0"                                  // version, auto_leave, padding
      "\2\0\0\0\1\0\0\0\1\0\0\0\3\2\0\0\4\0\0\0"  // voters
      "\0\0\0\0\0\0\0\0\0\0\0\0",                 // outgoing, learners, learners_next
      36);
  EXPECT_EQ(EncodeConfiguration(simple), expected);
}

TEST(Configuration, RoundTrips) {
  for (const Configuration& configuration : {Configuration{}, Joint()}) {
    const auto decoded = DecodeConfiguration(EncodeConfiguration(configuration));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, configuration);
  }
}

TEST(Configuration, RefusesEveryCutAndAnyTail) {
  const std::string whole = EncodeConfiguration(Joint());
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_EQ(ReasonOf(DecodeConfiguration(std::string_view(whole).substr(0, n)).status()),
              Reason::DATA_LOSS)
        << n;
  }
  EXPECT_FALSE(DecodeConfiguration(whole + '\0').ok());
}

TEST(Configuration, RefusesWhatIsInvalid) {
  std::vector<ReplicaId> crowd;
  for (uint32_t i = 1; i <= limits::kMaxReplicas + 1; ++i) crowd.push_back(R(i));
  const std::vector<ReplicaId> most(crowd.begin(), crowd.begin() + limits::kMaxReplicas);
  const std::vector<ReplicaId> learners = {R(80)};
  const struct {
    const char* name;
    std::string bytes;
    const char* says;
  } cases[] = {
      {"version", Encoded({{}, {}, {}, {}}, 2), "version 2"},
      {"flag", Encoded({{R(1)}, {}, {}, {}}, 1, 2), "header"},
      {"padding", Encoded({{R(1)}, {}, {}, {}}, 1, 0, 1), "header"},
      {"unsorted", Encoded({{R(2), R(1)}, {}, {}, {}}), "not sorted"},
      {"duplicate", Encoded({{R(2), R(2)}, {}, {}, {}}), "not sorted"},
      {"node 0", Encoded({{R(0)}, {}, {}, {}}), "node 0"},
      {"voter and learner", Encoded({{R(1), R(2)}, {}, {R(2, 9)}, {}}), "both"},
      {"no voters", Encoded({{}, {}, {R(2)}, {}}), "no voters"},
      {"future learner", Encoded({{R(1)}, {R(1)}, {}, {R(2)}}), "no outgoing voter"},
      {"voter that becomes learner", Encoded({{R(1), R(2, 3)}, {R(1), R(2)}, {}, {R(2)}}), "both"},
      {"learner twice", Encoded({{R(1)}, {R(1), R(2)}, {R(2)}, {R(2)}}), "learner already"},
      {"too many learners", Encoded({{R(90)}, most, learners, most}), "limit"},
      {"too many", Encoded({crowd, {}, {}, {}}), "limit"},
  };
  for (const auto& c : cases) {
    const auto decoded = DecodeConfiguration(c.bytes);
    ASSERT_FALSE(decoded.ok()) << c.name;
    EXPECT_EQ(ReasonOf(decoded.status()), Reason::DATA_LOSS) << c.name;
    EXPECT_THAT(std::string(MessageOf(decoded.status())), HasSubstr(c.says)) << c.name;
  }
}

TEST(Configuration, RefusesACountBeyondTheBytes) {
  std::string bytes = Encoded({{R(1)}, {}, {}, {}});
  StoreLittle(bytes.data() + 4, uint32_t{0xffffffff});
  EXPECT_EQ(ReasonOf(DecodeConfiguration(bytes).status()), Reason::DATA_LOSS);
}

}  // namespace
}  // namespace varve
