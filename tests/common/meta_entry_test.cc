#include "common/meta_entry.h"

#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/error.h"

namespace varve {
namespace {

SegmentStart Start() {
  SegmentStart out;
  out.config_index = Index{17};
  out.config.voters = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{2}, ReplicaEpoch{5}}};
  out.epochs = {{Term{1}, Index{1}, Offset{0}},
                {Term{4}, Index{9}, Offset{0}},
                {Term{5}, Index{12}, Offset{300}}};
  out.digest = {{0x1122334455667788u, 42}, 7};
  return out;
}

TEST(MetaEntry, TrimKeepsItsBytes) {
  const std::string expected("\2\1\0\0\x39\x30\0\0\0\0\0\0", 12);
  EXPECT_EQ(EncodeMeta(Trim{Offset{12345}}), expected);
}

TEST(MetaEntry, SegmentStartKeepsItsBytes) {
  SegmentStart start;
  start.config_index = Index{2};
  start.config.voters = {{NodeId{1}, ReplicaEpoch{1}}};
  start.epochs = {{Term{3}, Index{1}, Offset{0}}};
  start.digest = {{5, 6}, 7};
  std::string expected;
  ByteWriter out(&expected);
  out.PutBytes(std::string_view("\1\1\0\0", 4));
  out.Put(uint64_t{2});
  out.PutSized(EncodeConfiguration(start.config));
  out.Put(uint32_t{1});
  for (const uint64_t v : {3, 1, 0, 5, 6, 7}) out.Put(v);
  EXPECT_EQ(EncodeMeta(start), expected);
}

TEST(MetaEntry, RoundTrips) {
  for (const MetaBody& body : {MetaBody(Start()), MetaBody(SegmentStart{}),
                               MetaBody(Trim{Offset{0}}), MetaBody(Trim{Offset{99}})}) {
    const auto decoded = DecodeMeta(EncodeMeta(body));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, body);
  }
}

TEST(MetaEntry, RefusesEveryCutAndAnyTail) {
  for (const MetaBody& body : {MetaBody(Start()), MetaBody(Trim{Offset{1}})}) {
    const std::string whole = EncodeMeta(body);
    for (size_t n = 0; n < whole.size(); ++n) {
      EXPECT_EQ(ReasonOf(DecodeMeta(std::string_view(whole).substr(0, n)).status()),
                Reason::DATA_LOSS)
          << n;
    }
    EXPECT_EQ(ReasonOf(DecodeMeta(whole + '\0').status()), Reason::DATA_LOSS);
  }
}

TEST(MetaEntry, TellsNewerTypesFromDamage) {
  const std::string trim = EncodeMeta(Trim{Offset{1}});
  const struct {
    size_t at;
    char byte;
    Reason reason;
  } cases[] = {
      {0, 0, Reason::DATA_LOSS},           {0, 3, Reason::UNSUPPORTED_FEATURE},
      {0, 6, Reason::UNSUPPORTED_FEATURE}, {1, 0, Reason::DATA_LOSS},
      {1, 2, Reason::UNSUPPORTED_FEATURE}, {2, 1, Reason::DATA_LOSS},
      {11, '\x80', Reason::DATA_LOSS},  // negative offset
  };
  for (const auto& c : cases) {
    std::string bytes = trim;
    bytes[c.at] = c.byte;
    EXPECT_EQ(ReasonOf(DecodeMeta(bytes).status()), c.reason) << c.at << " " << +c.byte;
  }
}

TEST(MetaEntry, RefusesEpochsOutOfOrder) {
  const auto refused = [](EpochStart second) {
    SegmentStart start;
    start.epochs = {{Term{2}, Index{5}, Offset{10}}, second};
    return ReasonOf(DecodeMeta(EncodeMeta(start)).status()) == Reason::DATA_LOSS;
  };
  EXPECT_FALSE(refused({Term{3}, Index{6}, Offset{10}}));
  EXPECT_TRUE(refused({Term{2}, Index{6}, Offset{10}}));
  EXPECT_TRUE(refused({Term{3}, Index{5}, Offset{10}}));
  EXPECT_TRUE(refused({Term{3}, Index{6}, Offset{9}}));
  EXPECT_TRUE(refused({Term{kMaxTerm.value() + 1}, Index{6}, Offset{10}}));
}

TEST(MetaEntry, RefusesAnEpochCountBeyondTheBytes) {
  std::string bytes = EncodeMeta(SegmentStart{});
  StoreLittle(bytes.data() + bytes.size() - 28, uint32_t{0x7fffffff});
  EXPECT_EQ(ReasonOf(DecodeMeta(bytes).status()), Reason::DATA_LOSS);
}

TEST(MetaEntry, KnowsASegmentStartByItsHeader) {
  EXPECT_TRUE(IsSegmentStart(EncodeMeta(Start())));
  EXPECT_FALSE(IsSegmentStart(EncodeMeta(Trim{Offset{1}})));
  EXPECT_FALSE(IsSegmentStart(""));
  EXPECT_FALSE(IsSegmentStart("\1"));
}

TEST(MetaEntry, ARecordedLossIsReadBackAndNothingElse) {
  const RecordedLoss loss{Index{17}, Term{4}, 2};
  const std::string bytes = EncodeMeta(loss);
  const auto body = DecodeMeta(bytes);
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(std::get<RecordedLoss>(*body), loss);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(DecodeMeta(bytes.substr(0, length)).ok()) << length;
  EXPECT_FALSE(DecodeMeta(bytes + "x").ok());
  EXPECT_FALSE(DecodeMeta(EncodeMeta(RecordedLoss{Index{17}, Term{4}, 0})).ok());
  EXPECT_FALSE(TrimOf(bytes).has_value());
  EXPECT_FALSE(IsSegmentStart(bytes));
}

}  // namespace
}  // namespace varve
