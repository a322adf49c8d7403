// One suite for every StateStore.
#include <random>

#include "storage/state_store.h"
#include "tests/storage/state_store_hosts.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{70'000};
constexpr GroupId kOther{70'001};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Host>()> make;
};

using Values = std::map<std::string, std::string>;

class StateStoreTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { Open(); }

  void Open() {
    auto opened = host_->Open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  void Crash() {
    store_.reset();
    Open();
  }
  uint64_t Begin(GroupId group = kGroup) {
    auto begun = store_->BeginFold(group);
    EXPECT_TRUE(begun.ok()) << begun.status();
    return begun.value_or(0);
  }
  absl::Status Put(uint64_t generation, const Values& values, uint64_t index,
                   GroupId group = kGroup) {
    StateBatch batch;
    for (const auto& [key, value] : values) batch.Put(key, value);
    return store_->Apply(group, generation, batch, {Index(index), Term(2)});
  }
  Values Read(uint64_t generation, std::string_view prefix = "", GroupId group = kGroup) {
    Values out;
    std::string last;
    EXPECT_TRUE(store_
                    ->Scan(group, generation, prefix,
                           [&](std::string_view key, std::string_view value) {
                             EXPECT_TRUE(out.empty() || last < key) << "keys out of order";
                             last = std::string(key);
                             out.emplace(key, value);
                             return true;
                           })
                    .ok());
    return out;
  }
  std::optional<StateStore::Fold> Find(GroupId group = kGroup) {
    auto found = store_->FindFold(group);
    EXPECT_TRUE(found.ok()) << found.status();
    return *found;
  }
  std::optional<std::string> Get(uint64_t generation, std::string_view key,
                                 GroupId group = kGroup) {
    auto got = store_->Get(group, generation, key);
    EXPECT_TRUE(got.ok()) << got.status();
    return *got;
  }

  std::unique_ptr<Host> host_ = GetParam().make();
  std::unique_ptr<StateStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    All, StateStoreTest,
    testing::Values(Kind{"Memory", [] { return std::make_unique<MemoryHost>(); }},
                    Kind{"RocksDb", [] { return std::make_unique<RocksDbHost>(); }}),
    [](const auto& kind) { return kind.param.name; });

TEST_P(StateStoreTest, AnUnknownGroupHasNoFold) {
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_EQ(store_->HashFold(kGroup).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StateStoreTest, ANewFoldIsEmptyAndAtPositionZero) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Find());
  EXPECT_EQ(Find()->generation, generation);
  EXPECT_EQ(Find()->position, FoldPosition{});
  EXPECT_EQ(Read(generation), Values{});
}

TEST_P(StateStoreTest, AppliedChangesAreReadBackWithTheirPosition) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}, {"b", "2"}}, 7).ok());
  StateBatch batch;
  batch.Put("a", "3");
  batch.Delete("b");
  batch.Delete("never there");
  ASSERT_TRUE(store_->Apply(kGroup, generation, batch, {Index(8), Term(3)}).ok());
  EXPECT_EQ(Get(generation, "a"), "3");
  EXPECT_EQ(Get(generation, "b"), std::nullopt);
  EXPECT_EQ(Find()->position, (FoldPosition{Index(8), Term(3)}));
}

TEST_P(StateStoreTest, WithinABatchTheLastChangeOfAKeyWins) {
  const uint64_t generation = Begin();
  StateBatch batch;
  batch.Put("a", "1");
  batch.Delete("a");
  batch.Delete("b");
  batch.Put("b", "2");
  ASSERT_TRUE(store_->Apply(kGroup, generation, batch, {Index(1), Term(1)}).ok());
  EXPECT_EQ(Read(generation), (Values{{"b", "2"}}));
}

TEST_P(StateStoreTest, EmptyKeysAndBinaryValuesAreKept) {
  const uint64_t generation = Begin();
  const std::string binary("\0\xff\0", 3);
  ASSERT_TRUE(Put(generation, {{"", binary}, {binary, ""}}, 1).ok());
  EXPECT_EQ(Read(generation), (Values{{"", binary}, {binary, ""}}));
  EXPECT_EQ(Get(generation, ""), binary);
  EXPECT_EQ(Get(generation, binary), "");
}

TEST_P(StateStoreTest, ScansAreBytewiseOrderedAndKeepToThePrefix) {
  const uint64_t generation = Begin();
  const Values all = {{"", "0"},         {"a", "1"},        {"a\xff", "2"}, {"a\xff\xff", "3"},
                      {"b", "4"},        {"\x7f", "5"},     {"\x80", "6"},  {"\xff", "7"},
                      {"\xff\xff", "8"}, {"\xff\xffz", "9"}};
  ASSERT_TRUE(Put(generation, all, 1).ok());
  for (const std::string prefix : {"", "a", "a\xff", "b", "c", "\xff", "\xff\xff", "\x80"}) {
    Values expected;
    for (const auto& [key, value] : all)
      if (key.starts_with(prefix)) expected.emplace(key, value);
    EXPECT_EQ(Read(generation, prefix), expected) << testing::PrintToString(prefix);
  }
}

TEST_P(StateStoreTest, ScansEndWhenTheVisitorSaysSo) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}, {"b", "2"}, {"c", "3"}}, 1).ok());
  std::vector<std::string> seen;
  ASSERT_TRUE(store_
                  ->Scan(kGroup, generation, "",
                         [&](std::string_view key, std::string_view) {
                           seen.emplace_back(key);
                           return seen.size() < 2;
                         })
                  .ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
}

TEST_P(StateStoreTest, AVisitorMayWriteAndDoesNotSeeIt) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}, {"b", "2"}}, 1).ok());
  int visits = 0;
  ASSERT_TRUE(store_
                  ->Scan(kGroup, generation, "",
                         [&](std::string_view, std::string_view) {
                           ++visits;
                           EXPECT_TRUE(Put(generation, {{"c", "3"}}, 2).ok());
                           return true;
                         })
                  .ok());
  EXPECT_EQ(visits, 2);
  EXPECT_EQ(Get(generation, "c"), "3");
}

// Groups that are neighbours in number, in big- and little-endian order, do not see each other.
TEST_P(StateStoreTest, GroupsAreApart) {
  const std::vector<GroupId> groups = {
      GroupId{1},    GroupId{2}, GroupId{255}, GroupId{256}, GroupId{(1ull << 56) + 1},
      GroupId{~0ull}};
  std::map<GroupId, uint64_t> generations;
  for (const GroupId group : groups) {
    generations[group] = Begin(group);
    ASSERT_TRUE(Put(generations[group], {{"k", std::to_string(group.value())}}, 1, group).ok());
  }
  for (const GroupId group : groups)
    EXPECT_EQ(Read(generations[group], "", group), (Values{{"k", std::to_string(group.value())}}));
  ASSERT_TRUE(store_->DropFold(GroupId{255}).ok());
  EXPECT_EQ(Read(generations[GroupId{255}], "", GroupId{255}), Values{});
  EXPECT_EQ(Read(generations[GroupId{256}], "", GroupId{256}), (Values{{"k", "256"}}));
}

TEST_P(StateStoreTest, ARebuiltFoldGetsANewGenerationAndTheFormerIsGone) {
  const uint64_t first = Begin();
  ASSERT_TRUE(Put(first, {{"a", "1"}}, 5).ok());
  const uint64_t second = Begin();
  EXPECT_GT(second, first);
  EXPECT_EQ(Find()->generation, second);
  EXPECT_EQ(Find()->position, FoldPosition{});
  EXPECT_EQ(Read(first), Values{});
  EXPECT_EQ(Read(second), Values{});
  EXPECT_EQ(Get(first, "a"), std::nullopt);
}

TEST_P(StateStoreTest, GenerationsStayNewAfterADrop) {
  const uint64_t first = Begin();
  ASSERT_TRUE(store_->DropFold(kGroup).ok());
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_GT(Begin(), first);
}

TEST_P(StateStoreTest, DroppingWhatIsNotThereIsFine) { EXPECT_TRUE(store_->DropFold(kGroup).ok()); }

TEST_P(StateStoreTest, AStaleGenerationIsRefusedAndChangesNothing) {
  const uint64_t first = Begin();
  const uint64_t second = Begin();
  ASSERT_TRUE(Put(second, {{"a", "1"}}, 1).ok());
  EXPECT_EQ(Put(first, {{"a", "2"}}, 2).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Put(second + 1, {{"a", "2"}}, 2).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Put(second, {{"a", "2"}}, 2, kOther).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Read(second), (Values{{"a", "1"}}));
  EXPECT_EQ(Read(first), Values{});
  EXPECT_EQ(Find()->position.applied, Index(1));
}

TEST_P(StateStoreTest, ThePositionDoesNotGoBack) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}}, 5).ok());
  EXPECT_EQ(Put(generation, {{"a", "2"}}, 4).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get(generation, "a"), "1");
  EXPECT_TRUE(Put(generation, {{"a", "3"}}, 5).ok());  // a state record inside the same entry
}

TEST_P(StateStoreTest, FlushedStateSurvivesACrashAndTheRestIsLost) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}, {"b", "1"}}, 1).ok());
  ASSERT_TRUE(store_->Flush().ok());
  ASSERT_TRUE(Put(generation, {{"a", "2"}, {"c", "2"}}, 2).ok());
  Begin(kOther);
  Crash();
  ASSERT_TRUE(Find());
  EXPECT_EQ(Find()->generation, generation);
  EXPECT_EQ(Find()->position, (FoldPosition{Index(1), Term(2)}));
  EXPECT_EQ(Read(generation), (Values{{"a", "1"}, {"b", "1"}}));
  EXPECT_EQ(Find(kOther), std::nullopt);
}

TEST_P(StateStoreTest, WithoutAFlushNothingSurvives) {
  const uint64_t generation = Begin();
  ASSERT_TRUE(Put(generation, {{"a", "1"}}, 1).ok());
  Crash();
  EXPECT_EQ(Find(), std::nullopt);
  EXPECT_EQ(Read(generation), Values{});
}

TEST_P(StateStoreTest, AnUnflushedDropOrRebuildIsUndoneByACrash) {
  const uint64_t first = Begin();
  const uint64_t other = Begin(kOther);
  ASSERT_TRUE(Put(first, {{"a", "1"}}, 1).ok());
  ASSERT_TRUE(Put(other, {{"b", "1"}}, 1, kOther).ok());
  ASSERT_TRUE(store_->Flush().ok());
  const uint64_t second = Begin();
  ASSERT_TRUE(Put(second, {{"z", "9"}}, 9).ok());
  ASSERT_TRUE(store_->DropFold(kOther).ok());
  Crash();
  EXPECT_EQ(Find()->generation, first);
  EXPECT_EQ(Read(first), (Values{{"a", "1"}}));
  EXPECT_EQ(Read(second), Values{});
  EXPECT_EQ(Read(other, "", kOther), (Values{{"b", "1"}}));
}

TEST_P(StateStoreTest, AFlushedDropAndRebuildStay) {
  const uint64_t first = Begin();
  ASSERT_TRUE(Put(first, {{"a", "1"}}, 1).ok());
  const uint64_t other = Begin(kOther);
  ASSERT_TRUE(Put(other, {{"b", "1"}}, 1, kOther).ok());
  ASSERT_TRUE(store_->Flush().ok());
  const uint64_t second = Begin();
  ASSERT_TRUE(Put(second, {{"z", "9"}}, 9).ok());
  ASSERT_TRUE(store_->DropFold(kOther).ok());
  ASSERT_TRUE(store_->Flush().ok());
  Crash();
  EXPECT_EQ(Find()->generation, second);
  EXPECT_EQ(Read(first), Values{});
  EXPECT_EQ(Read(second), (Values{{"z", "9"}}));
  EXPECT_EQ(Find(kOther), std::nullopt);
  EXPECT_EQ(Read(other, "", kOther), Values{});
}

TEST_P(StateStoreTest, HashesTellContentAndPositionApart) {
  const uint64_t generation = Begin();
  std::set<uint64_t> hashes;
  const auto add = [&](const Values& values, uint64_t index) {
    ASSERT_TRUE(Put(generation, values, index).ok());
    hashes.insert(store_->HashFold(kGroup).value());
  };
  hashes.insert(store_->HashFold(kGroup).value());
  add({{"a", "bc"}}, 1);
  add({}, 2);
  add({{"a", "b"}}, 2);
  add({{"ab", ""}}, 2);
  EXPECT_EQ(hashes.size(), 5u);
}

TEST_P(StateStoreTest, HashesDoNotDependOnHistoryOrGeneration) {
  const uint64_t first = Begin();
  ASSERT_TRUE(Put(first, {{"a", "0"}, {"b", "2"}}, 1).ok());
  ASSERT_TRUE(Put(first, {{"a", "1"}}, 2).ok());
  const uint64_t hash = store_->HashFold(kGroup).value();
  const uint64_t second = Begin();
  ASSERT_TRUE(Put(second, {{"a", "1"}, {"b", "2"}}, 2).ok());
  EXPECT_EQ(store_->HashFold(kGroup).value(), hash);

  const uint64_t content = store_->HashFold(kGroup, StateStore::Hashed::kContent).value();
  ASSERT_TRUE(Put(second, {}, 3).ok());
  EXPECT_NE(store_->HashFold(kGroup).value(), hash);
  EXPECT_EQ(store_->HashFold(kGroup, StateStore::Hashed::kContent).value(), content);
  ASSERT_TRUE(Put(second, {{"b", "3"}}, 4).ok());
  EXPECT_NE(store_->HashFold(kGroup, StateStore::Hashed::kContent).value(), content);
}

// A naive twin and random calls: after every crash both agree, and the two kinds of store agree in
// hash.
class TwinTest : public testing::Test {
 protected:
  struct TwinFold {
    uint64_t generation = 0;
    FoldPosition position;
    Values values;
    bool operator==(const TwinFold&) const = default;
  };
  using Twin = std::map<GroupId, TwinFold>;

  static void Check(StateStore& store, const Twin& twin, uint64_t groups) {
    for (uint64_t g = 1; g <= groups; ++g) {
      const GroupId group(g);
      const auto fold = store.FindFold(group).value();
      const auto expected = twin.find(group);
      ASSERT_EQ(fold.has_value(), expected != twin.end()) << "group " << g;
      if (!fold) continue;
      TwinFold seen{fold->generation, fold->position, {}};
      ASSERT_TRUE(store
                      .Scan(group, fold->generation, "",
                            [&](std::string_view key, std::string_view value) {
                              seen.values.emplace(key, value);
                              return true;
                            })
                      .ok());
      ASSERT_EQ(seen, expected->second) << "group " << g;
    }
  }

  static void RandomApply(std::mt19937_64& random, GroupId group, TwinFold& fold,
                          std::vector<StateStore*> stores) {
    StateBatch batch;
    for (uint64_t n = random() % 20; n > 0; --n) {
      const std::string key = "k" + std::to_string(random() % 50);
      if (random() % 3 == 0) {
        batch.Delete(key);
        fold.values.erase(key);
      } else {
        const std::string value(random() % 3000, static_cast<char>('a' + random() % 26));
        batch.Put(key, value);
        fold.values[key] = value;
      }
    }
    fold.position = {fold.position.applied + 1 + random() % 3, Term(1)};
    for (StateStore* store : stores)
      ASSERT_TRUE(store->Apply(group, fold.generation, batch, fold.position).ok());
  }
};

TEST_F(TwinTest, BothStoresFollowANaiveTwinThroughCrashes) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kGroups = 4;
  MemoryHost memory_host;
  RocksDbHost rocks_host;
  auto memory = memory_host.Open().value();
  auto rocks = rocks_host.Open().value();
  Twin now, flushed;
  for (int step = 0; step < 600; ++step) {
    const GroupId group(1 + random() % kGroups);
    const uint64_t action = random() % 40;
    if (action == 0) {
      memory.reset(), rocks.reset();
      memory = memory_host.Open().value(), rocks = rocks_host.Open().value();
      now = flushed;
      ASSERT_NO_FATAL_FAILURE(Check(*memory, now, kGroups));
      ASSERT_NO_FATAL_FAILURE(Check(*rocks, now, kGroups));
    } else if (action <= 3) {
      ASSERT_TRUE(memory->Flush().ok() && rocks->Flush().ok());
      flushed = now;
    } else if (action == 4) {
      ASSERT_TRUE(memory->DropFold(group).ok() && rocks->DropFold(group).ok());
      now.erase(group);
    } else if (action == 5 || !now.contains(group)) {
      const uint64_t generation = memory->BeginFold(group).value();
      ASSERT_EQ(rocks->BeginFold(group).value(), generation);
      now[group] = TwinFold{generation, {}, {}};
    } else {
      ASSERT_NO_FATAL_FAILURE(RandomApply(random, group, now[group], {memory.get(), rocks.get()}));
      ASSERT_EQ(memory->HashFold(group).value(), rocks->HashFold(group).value());
    }
  }
  ASSERT_NO_FATAL_FAILURE(Check(*memory, now, kGroups));
  ASSERT_NO_FATAL_FAILURE(Check(*rocks, now, kGroups));
}

}  // namespace
}  // namespace varve::storage
