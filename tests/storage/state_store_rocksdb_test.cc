// What only a StateStore that lives in a directory can show.
#include <filesystem>
#include <fstream>

#include "common/error.h"
#include "storage/state_store.h"
#include "tests/storage/state_store_hosts.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{70'000};

class RocksDbDirectoryTest : public testing::Test {
 protected:
  void SetUp() override { path_ = FreshDirectory(); }
  void TearDown() override { std::filesystem::remove_all(path_); }
  std::unique_ptr<StateStore> Open() {
    auto opened = OpenRocksDbStateStore(path_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  static absl::Status PutOne(StateStore& store, uint64_t generation, const std::string& key,
                             const std::string& value, uint64_t index) {
    StateBatch batch;
    batch.Put(key, value);
    return store.Apply(kGroup, generation, batch, {Index(index), Term(1)});
  }
  // Values, number by number, always agree with the position: "n" holds the applied index.
  static void CheckAgreement(StateStore& store) {
    const auto fold = store.FindFold(kGroup).value();
    if (!fold) return;
    const auto n = store.Get(kGroup, fold->generation, "n").value();
    EXPECT_EQ(n.value_or("0"), std::to_string(fold->position.applied.value()));
  }
  std::string path_;
};

// What a killed process leaves: the files as they are at some moment, write buffers spilled in
// between.
TEST_F(RocksDbDirectoryTest, CopiesOfALiveDirectoryHoldOneMoment) {
  auto store = Open();
  const uint64_t generation = store->BeginFold(kGroup).value();
  const std::string copy = path_ + "_copy";
  uint64_t newest = 0;
  for (uint64_t index = 1; index <= 120; ++index) {
    ASSERT_TRUE(PutOne(*store, generation, "n", std::to_string(index), index).ok());
    StateBatch filler;
    filler.Put("filler" + std::to_string(index), std::string(200'000, static_cast<char>(index)));
    ASSERT_TRUE(store->Apply(kGroup, generation, filler, {Index(index), Term(1)}).ok());
    if (index % 30 != 0) continue;
    ASSERT_TRUE(store->Flush().ok());
    std::filesystem::remove_all(copy);
    std::filesystem::copy(path_, copy);
    auto opened = OpenRocksDbStateStore(copy);
    ASSERT_TRUE(opened.ok()) << opened.status();
    CheckAgreement(**opened);
    const auto fold = (*opened)->FindFold(kGroup).value();
    ASSERT_TRUE(fold);
    EXPECT_GE(fold->position.applied, Index(index));
    newest = fold->position.applied.value();
  }
  EXPECT_EQ(newest, 120u);
  std::filesystem::remove_all(copy);
}

// More than the write buffer holds: parts became durable unasked, but as whole batches.
TEST_F(RocksDbDirectoryTest, ValuesAgreeWithThePositionAfterUnaskedFlushes) {
  auto store = Open();
  const uint64_t generation = store->BeginFold(kGroup).value();
  for (uint64_t index = 1; index <= 100; ++index) {
    StateBatch batch;
    batch.Put("n", std::to_string(index));
    batch.Put("filler" + std::to_string(index), std::string(200'000, static_cast<char>(index)));
    ASSERT_TRUE(store->Apply(kGroup, generation, batch, {Index(index), Term(1)}).ok());
  }
  store.reset();
  CheckAgreement(*Open());
}

TEST_F(RocksDbDirectoryTest, DeletingTheDirectoryWhileStoppedGivesAnEmptyStore) {
  auto store = Open();
  ASSERT_TRUE(PutOne(*store, store->BeginFold(kGroup).value(), "a", "1", 1).ok());
  ASSERT_TRUE(store->Flush().ok());
  store.reset();
  std::filesystem::remove_all(path_);
  EXPECT_EQ(Open()->FindFold(kGroup).value(), std::nullopt);
}

TEST_F(RocksDbDirectoryTest, ASecondOpenIsRefused) {
  auto store = Open();
  const absl::Status status = OpenRocksDbStateStore(path_).status();
  EXPECT_EQ(ReasonOf(status), Reason::DIRECTORY_IN_USE) << status;
}

TEST_F(RocksDbDirectoryTest, JunkIsRefusedWithThePathAndWhatToDo) {
  Open().reset();
  for (const std::string file : {"CURRENT", "MANIFEST"}) {
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (!entry.path().filename().string().starts_with(file)) continue;
      std::ofstream(entry.path(), std::ios::trunc) << "this is not what belongs here\n";
    }
    const absl::Status status = OpenRocksDbStateStore(path_).status();
    EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << status;
    EXPECT_THAT(std::string(MessageOf(status)), testing::HasSubstr(path_));
    EXPECT_THAT(std::string(MessageOf(status)), testing::HasSubstr("delete this directory"));
    std::filesystem::remove_all(path_);
    Open().reset();
  }
}

TEST_F(RocksDbDirectoryTest, AFileInPlaceOfTheDirectoryIsRefused) {
  std::ofstream(path_) << "a file";
  const absl::Status status = OpenRocksDbStateStore(path_).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(MessageOf(status)), testing::HasSubstr(path_));
}

TEST_F(RocksDbDirectoryTest, DamagedOrMissingTablesAreReported) {
  for (const bool remove : {true, false}) {
    auto store = Open();
    const uint64_t generation = store->BeginFold(kGroup).value();
    for (uint64_t n = 1; n <= 100; ++n) {
      ASSERT_TRUE(PutOne(*store, generation, std::to_string(n), std::string(1000, 'x'), n).ok());
    }
    ASSERT_TRUE(store->Flush().ok());
    store.reset();
    int tables = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().extension() != ".sst") continue;
      ++tables;
      if (remove) {
        std::filesystem::remove(entry.path());
        break;
      }
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      for (int at = 20; at < 2000; at += 100) file.seekp(at).put('!');
    }
    ASSERT_GT(tables, 0);
    auto opened = OpenRocksDbStateStore(path_);
    absl::Status status = opened.status();
    if (opened.ok()) status = (*opened)->HashFold(kGroup).status();
    EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << status;
    opened = absl::UnknownError("closed");
    std::filesystem::remove_all(path_);
  }
}

uint64_t AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    uint64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib * 1024;
  }
  ADD_FAILURE() << "no RssAnon in /proc/self/status";
  return 0;
}

// The whole idle broker has 64 MiB. Four stores stay open at once, so that memory which the
// allocator kept from before cannot hide what one takes.
TEST_F(RocksDbDirectoryTest, AnIdleStoreIsSmall) {
  constexpr int kStores = 4;
  const uint64_t before = AnonymousBytes();
  const std::string directory = path_;
  std::vector<std::unique_ptr<StateStore>> stores;
  std::filesystem::create_directories(directory);
  for (int n = 0; n < kStores; ++n) {
    path_ = directory + "/" + std::to_string(n);
    stores.push_back(Open());
    ASSERT_TRUE(stores.back());
    ASSERT_TRUE(PutOne(*stores[n], stores[n]->BeginFold(kGroup).value(), "a", "1", 1).ok());
    ASSERT_TRUE(stores[n]->Flush().ok());
  }
  path_ = directory;
  const uint64_t each = (std::max(AnonymousBytes(), before) - before) / kStores;
  RecordProperty("idle_store_kib", static_cast<int>(each / 1024));
  EXPECT_LT(each, 4ull << 20);
}

}  // namespace
}  // namespace varve::storage
