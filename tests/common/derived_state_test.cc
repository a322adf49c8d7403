#include "common/derived_state.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "common/xoshiro.h"

namespace varve {
namespace {

constexpr GroupId kGroup{70'000};
constexpr StatePosition kAt{kGroup, Index{9}, Term{3}, Offset{40}};

StateItems Items() {
  StateItems out;
  out.Put(StateSection::kProducers, "alice", "12345678");
  out.Put(StateSection::kProducers, "bob", "");
  out.Put(StateSection::kAbortedRanges, "", "range");
  return out;
}

std::string Sealed(std::string bytes) {
  StoreLittle(bytes.data() + bytes.size() - 4,
              Crc32c(std::string_view(bytes).substr(0, bytes.size() - 4)));
  return bytes;
}

Reason ReasonOfDecode(std::string_view bytes) {
  return ReasonOf(DecodeState(bytes, nullptr).status());
}

Entry EntryAt(Index index, Term term, Offset base, std::string_view payload = {}) {
  EntryHeader header;
  header.kind = payload.empty() ? EntryKind::kBarrier : EntryKind::kMeta;
  header.group = kGroup;
  header.first_index = header.last_index = index;
  header.term = term;
  header.base_offset = base;
  header.last_offset = base - 1;
  header.append_time = WallTime{1};
  return FrameBuffer::Copy(payload).Seal(header);
}

// Keeps the index of the newest trim, under its offset.
class TrimFold final : public StateFold {
 public:
  [[nodiscard]] StateSection section() const override { return StateSection::kProducers; }
  absl::Status Apply(const Entry& entry, StateItems* items) const override {
    const auto trim =
        entry.header.kind == EntryKind::kMeta ? TrimOf(entry.payload()) : std::nullopt;
    if (!trim) return absl::OkStatus();
    const std::string key = std::to_string(trim->value());
    if (items->Find(section(), key) != nullptr) {
      return MakeError(Reason::DATA_LOSS, "the same trim again");
    }
    items->Put(section(), key, std::to_string(entry.header.first_index.value()));
    return absl::OkStatus();
  }
};

TEST(DerivedState, TheDigestDoesNotDependOnTheWayThere) {
  StateItems there = Items();
  there.Put(StateSection::kOpenTransactions, "t", "1");
  there.Put(StateSection::kProducers, "bob", "other");
  there.Put(StateSection::kProducers, "bob", "");
  there.Erase(StateSection::kOpenTransactions, "t");
  there.Erase(StateSection::kOpenTransactions, "unknown");
  EXPECT_EQ(there.digest(), Items().digest());
  EXPECT_EQ(there.digest().items, 3u);
}

TEST(DerivedState, TheDigestTellsSectionsKeysAndValuesApart) {
  std::vector<StateDigest> digests;
  const auto add = [&](StateSection section, std::string_view key, std::string_view value) {
    StateItems items;
    items.Put(section, key, value);
    digests.push_back(items.digest());
  };
  add(StateSection::kProducers, "ab", "c");
  add(StateSection::kProducers, "a", "bc");
  add(StateSection::kProducers, "abc", "");
  add(StateSection::kProducers, "", "abc");
  add(StateSection::kProducers, "ab", std::string("c\0", 2));
  add(StateSection::kOpenTransactions, "ab", "c");
  for (size_t i = 0; i < digests.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(digests[i].sum[0], digests[j].sum[0]) << i << " " << j;
      EXPECT_NE(digests[i].sum[1], digests[j].sum[1]) << i << " " << j;
    }
  }
}

TEST(DerivedState, AnEmptyStateIsStated) {
  EXPECT_TRUE(IsStated(EmptyStateDigest()));
  EXPECT_FALSE(IsStated(StateDigest{}));
  EXPECT_EQ(DerivedState(kGroup).digest(), EmptyStateDigest());
}

// Digests are compared between replicas of different releases.
TEST(DerivedState, KeepsItsDigest) {
  EXPECT_EQ(EmptyStateDigest().sum,
            (std::array<uint64_t, 2>{0x7473206576726176, 0x6d65746920657461}));
  const StateDigest digest = Items().digest();
  EXPECT_EQ(digest.sum, (std::array<uint64_t, 2>{9685439886240089719u, 16503201401348473950u}));
}

TEST(DerivedState, KeepsItsBytes) {
  const StateItems items = Items();
  std::string expected;
  ByteWriter out(&expected);
  out.PutBytes(std::string_view("VDST\1\0\0\0", 8));
  for (const uint64_t v : {70'000, 9, 3, 40}) out.Put(v);
  out.Put(items.digest().sum[0]);
  out.Put(items.digest().sum[1]);
  out.Put(uint64_t{3});
  out.Put(uint64_t{2});
  out.PutBytes(std::string_view("\1\0\1\0\0\0\0\0", 8));
  out.Put(uint64_t{2});
  out.Put(uint64_t{32});
  for (const std::string_view v : {"alice", "12345678", "bob", ""}) out.PutSized(v);
  out.PutBytes(std::string_view("\4\0\1\0\0\0\0\0", 8));
  out.Put(uint64_t{1});
  out.Put(uint64_t{13});
  for (const std::string_view v : {"", "range"}) out.PutSized(v);
  out.PutBytes("VDSE");
  out.Put(Crc32c(expected));
  EXPECT_EQ(EncodeState(kAt, items), expected);
}

TEST(DerivedState, RoundTrips) {
  for (const StateItems& items : {Items(), StateItems()}) {
    const std::string bytes = EncodeState(kAt, items);
    StateItems read;
    const auto summary = DecodeState(bytes, &read);
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->at, kAt);
    EXPECT_EQ(summary->digest, items.digest());
    EXPECT_EQ(summary->items[0], items.table(StateSection::kProducers).size());
    EXPECT_EQ(EncodeState(kAt, read), bytes);
  }
}

TEST(DerivedState, RefusesEveryCutAndEveryFlippedByte) {
  const std::string whole = EncodeState(kAt, Items());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(ReasonOfDecode(std::string_view(whole).substr(0, i)), Reason::DATA_LOSS) << i;
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_EQ(ReasonOfDecode(flipped), Reason::DATA_LOSS) << i;
  }
  EXPECT_EQ(ReasonOfDecode(whole + '\0'), Reason::DATA_LOSS);
}

// With a right checksum.
TEST(DerivedState, RefusesWhatContradictsItself) {
  const std::string whole = EncodeState(kAt, Items());
  const struct {
    size_t at;
    uint8_t byte;
    Reason reason;
  } cases[] = {
      {4, 0, Reason::DATA_LOSS},      // version 0
      {4, 2, Reason::NEWER_FORMAT},   // version 2
      {6, 1, Reason::DATA_LOSS},      // reserved
      {31, 0x80, Reason::DATA_LOSS},  // term beyond all
      {39, 0x80, Reason::DATA_LOSS},  // negative offset
      {40, 0, Reason::DATA_LOSS},     // digest
      {56, 4, Reason::DATA_LOSS},     // items of the digest
      {64, 1, Reason::DATA_LOSS},     // a section behind the last
      {64, 3, Reason::DATA_LOSS},     // a section too few
      {68, 1, Reason::DATA_LOSS},     // reserved
      {72, 0, Reason::DATA_LOSS},     // section 0
      {72, 9, Reason::NEWER_FORMAT},  // section 9
      {72, 4, Reason::DATA_LOSS},     // the same one twice
      {74, 2, Reason::NEWER_FORMAT},  // version of the section
      {80, 1, Reason::DATA_LOSS},     // fewer items than bytes
      {87, 0x7f, Reason::DATA_LOSS},  // more items than bytes can hold
      {88, 31, Reason::DATA_LOSS},    // bytes of the section
      {95, 0x7f, Reason::DATA_LOSS},  // the same
      {96, 0xff, Reason::DATA_LOSS},  // a key beyond the section
      {100, 'z', Reason::DATA_LOSS},  // keys out of order
  };
  for (const auto& c : cases) {
    std::string bytes = whole;
    bytes[c.at] = static_cast<char>(c.byte);
    EXPECT_EQ(ReasonOfDecode(Sealed(bytes)), c.reason) << c.at << " " << +c.byte;
  }
}

TEST(DerivedState, AnErrorLeavesTheItems) {
  StateItems items = Items();
  std::string bytes = EncodeState(kAt, {});
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  EXPECT_FALSE(DecodeState(bytes, &items).ok());
  EXPECT_EQ(items.digest(), Items().digest());
}

TEST(DerivedState, FoldsEntriesInTheirOrderOnly) {
  DerivedState state(kGroup);
  ASSERT_TRUE(state.Apply(EntryAt(Index{1}, Term{1}, Offset{0})).ok());
  ASSERT_TRUE(state.Apply(EntryAt(Index{2}, Term{4}, Offset{0})).ok());
  EXPECT_EQ(state.position(), (StatePosition{kGroup, Index{2}, Term{4}, Offset{0}}));
  for (const Entry& wrong :
       {EntryAt(Index{2}, Term{4}, Offset{0}), EntryAt(Index{4}, Term{4}, Offset{0}),
        EntryAt(Index{3}, Term{3}, Offset{0}), EntryAt(Index{3}, Term{4}, Offset{1})}) {
    EXPECT_EQ(ReasonOf(state.Apply(wrong)), Reason::DATA_LOSS) << wrong.header.first_index;
  }
  EXPECT_EQ(state.position().index, Index{2});
}

TEST(DerivedState, ASavedStateGoesOnLikeTheOneThatWasNot) {
  const StateFolds folds = {std::make_shared<TrimFold>()};
  DerivedState whole(kGroup, folds);
  for (uint64_t i = 1; i <= 20; ++i) {
    const std::string trim = EncodeMeta(Trim{Offset{static_cast<int64_t>(i)}});
    ASSERT_TRUE(whole.Apply(EntryAt(Index{i}, Term{1}, Offset{0}, trim)).ok());
    DerivedState loaded(kGroup, folds);
    ASSERT_TRUE(loaded.Decode(whole.Encode()).ok());
    EXPECT_EQ(loaded.position(), whole.position());
    EXPECT_EQ(loaded.digest(), whole.digest());
    DerivedState copy = loaded;
    const std::string next = EncodeMeta(Trim{Offset{100}});
    ASSERT_TRUE(copy.Apply(EntryAt(Index{i + 1}, Term{1}, Offset{0}, next)).ok());
    EXPECT_NE(copy.digest(), loaded.digest());
    EXPECT_EQ(loaded.Encode(), whole.Encode());
  }
  EXPECT_EQ(whole.digest().items, 20u);
}

TEST(DerivedState, AFoldMayRefuseAnEntry) {
  DerivedState state(kGroup, {std::make_shared<TrimFold>()});
  const std::string trim = EncodeMeta(Trim{Offset{5}});
  ASSERT_TRUE(state.Apply(EntryAt(Index{1}, Term{1}, Offset{0}, trim)).ok());
  EXPECT_EQ(ReasonOf(state.Apply(EntryAt(Index{2}, Term{1}, Offset{0}, trim))), Reason::DATA_LOSS);
  EXPECT_EQ(state.position().index, Index{1});
}

TEST(DerivedState, LoadsOnlyWhatItCarriesOn) {
  DerivedState state(kGroup);
  EXPECT_EQ(ReasonOf(state.Decode(EncodeState(kAt, Items()))), Reason::NEWER_FORMAT);
  StatePosition other = kAt;
  other.group = GroupId{70'001};
  EXPECT_EQ(ReasonOf(state.Decode(EncodeState(other, {}))), Reason::DATA_LOSS);
  EXPECT_EQ(state.position().index, Index{0});
  EXPECT_TRUE(state.Decode(EncodeState(kAt, {})).ok());
  EXPECT_EQ(state.position(), kAt);
}

TEST(DerivedState, AThousandRandomChangesKeepTheDigest) {
  const uint64_t seed = 20'261;
  Xoshiro256 random({seed, 1, 2, 3});
  StateItems items;
  for (int i = 0; i < 1000; ++i) {
    const auto section = static_cast<StateSection>(1 + random.Next() % kStateSections);
    const std::string key = std::to_string(random.Next() % 40);
    if (random.Next() % 3 == 0) {
      items.Erase(section, key);
    } else {
      items.Put(section, key, std::string(random.Next() % 30, 'v'));
    }
  }
  StateItems again;
  for (uint16_t i = kStateSections; i >= 1; --i) {
    const auto section = static_cast<StateSection>(i);
    for (const auto& [key, value] : items.table(section)) again.Put(section, key, value);
  }
  EXPECT_EQ(again.digest(), items.digest()) << "seed " << seed;
}

}  // namespace
}  // namespace varve
