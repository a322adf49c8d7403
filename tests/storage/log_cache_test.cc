// The entries of all logs in memory, and the files kept open.
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "common/sim/faulty_file_system.h"
#include "common/sim/sim_file_system.h"
#include "storage/entry_cache.h"
#include "storage/file_pool.h"

namespace varve::storage {
namespace {

constexpr size_t kPayload = 928;  // with the header of the frame, 1000 bytes

class EntryCacheTest : public ::testing::Test {
 protected:
  std::shared_ptr<ReplicaFiles> NewReplica(uint64_t group) {
    return std::make_shared<ReplicaFiles>(GroupId{group}, ReplicaEpoch{1}, "g");
  }
  void Add(const std::shared_ptr<ReplicaFiles>& replica) {
    EntryHeader header;
    header.kind = EntryKind::kMeta;
    header.group = replica->group;
    header.first_index = header.last_index = ++last_[replica->group];
    header.term = Term{1};
    header.last_offset = Offset{-1};
    Entry entry = FrameBuffer::Copy(std::string(kPayload, 'x')).Seal(header);
    const size_t bytes = entry.frame.size();
    {
      std::lock_guard lock(replica->mutex);
      replica->cache.push_back(std::move(entry));
    }
    cache.Added(replica, header.last_index, bytes);
  }
  static void Written(ReplicaFiles& replica, Index through) {
    std::lock_guard lock(replica.mutex);
    replica.written_index = through;
  }
  static std::vector<uint64_t> Held(const ReplicaFiles& replica) {
    std::vector<uint64_t> out;
    for (const Entry& entry : replica.cache) out.push_back(entry.header.first_index.value());
    return out;
  }
  EntryCache cache{4000};
  std::map<GroupId, Index> last_;
};

TEST_F(EntryCacheTest, DropsTheOldestOfAllLogsFirst) {
  const auto a = NewReplica(1);
  const auto b = NewReplica(2);
  Written(*a, Index{100});
  Written(*b, Index{100});
  Add(a);
  Add(b);
  Add(a);
  Add(b);
  EXPECT_EQ(cache.bytes(), 4000u);
  Add(b);
  EXPECT_EQ(Held(*a), (std::vector<uint64_t>{2}));
  EXPECT_EQ(Held(*b), (std::vector<uint64_t>{1, 2, 3}));
  Add(a);
  EXPECT_EQ(Held(*a), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(Held(*b), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(cache.bytes(), 4000u);
}

TEST_F(EntryCacheTest, KeepsWhatIsInNoFileYet) {
  const auto a = NewReplica(1);
  for (int i = 0; i < 10; ++i) Add(a);
  EXPECT_EQ(Held(*a).size(), 10u);
  EXPECT_EQ(cache.bytes(), 10'000u);
  Written(*a, Index{3});
  Add(a);
  EXPECT_EQ(Held(*a), (std::vector<uint64_t>{4, 5, 6, 7, 8, 9, 10, 11}));
  Written(*a, Index{11});
  Add(a);
  EXPECT_EQ(Held(*a), (std::vector<uint64_t>{9, 10, 11, 12})) << "12 is not in a file";
  EXPECT_EQ(cache.bytes(), 4000u);
}

TEST_F(EntryCacheTest, ForgetsReplicasThatAreGone) {
  const auto kept = NewReplica(2);
  Written(*kept, Index{100});
  auto gone = NewReplica(1);
  for (int i = 0; i < 4; ++i) Add(gone);
  gone.reset();
  for (int i = 0; i < 4; ++i) Add(kept);
  EXPECT_EQ(Held(*kept).size(), 4u);
  EXPECT_EQ(cache.bytes(), 4000u);
}

class FilePoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a", "b", "c"}) {
      auto file = disk.Open(name, OpenMode::kCreate);
      ASSERT_TRUE(file.ok() && (*file)->WriteAt(0, name).ok());
    }
    disk.SetObserver([this](const SimFileOp& op) { opens += op.name == "open"; });
  }
  std::shared_ptr<File> Get(const std::string& name) {
    auto file = pool.Get(name);
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }
  SimFileSystem disk;
  FilePool pool{disk, 2};
  int opens = 0;
};

TEST_F(FilePoolTest, OpensAFileOnce) {
  EXPECT_EQ(Get("a"), Get("a"));
  EXPECT_EQ(opens, 1);
  EXPECT_EQ(pool.size(), 1u);
}

TEST_F(FilePoolTest, ClosesTheOneThatWasUsedLongestAgo) {
  Get("a");
  Get("b");
  Get("a");
  Get("c");
  EXPECT_EQ(pool.size(), 2u);
  EXPECT_EQ(opens, 3);
  Get("a");
  EXPECT_EQ(opens, 3);
  Get("b");
  EXPECT_EQ(opens, 4);
}

TEST_F(FilePoolTest, AFileThatIsHeldStaysUsable) {
  const std::shared_ptr<File> held = Get("a");
  Get("b");
  Get("c");
  char byte = 0;
  EXPECT_EQ(*held->ReadAt(0, 1, &byte), 1u);
  EXPECT_EQ(byte, 'a');
}

TEST_F(FilePoolTest, ForgottenNamesAreOpenedAnew) {
  const std::shared_ptr<File> before = Get("a");
  pool.Forget("a");
  pool.Forget("never opened");
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_NE(Get("a"), before);
}

TEST_F(FilePoolTest, ANewFileReplacesOneOfItsName) {
  Get("a");
  std::shared_ptr<File> next = *disk.Open("a", OpenMode::kReadWrite);
  pool.Put("a", next);
  EXPECT_EQ(Get("a"), next);
  EXPECT_EQ(pool.size(), 1u);
  // One place in the order of use, not two: "a" is older than "b".
  Get("b");
  Get("c");
  EXPECT_EQ(pool.size(), 2u);
  EXPECT_NE(Get("a"), next);
}

TEST_F(FilePoolTest, AFileThatOpensSlowlyHoldsUpNoOther) {
  FaultyFileSystem slow(disk);
  FilePool slow_pool(slow, 2);
  ASSERT_TRUE(slow_pool.Get("a").ok());
  slow.AddFault({.kind = FileFault::Kind::kStall, .ops = {FileOp::kOpen}, .path_prefix = "b"});
  auto other = std::async(std::launch::deferred, [] {});
  bool through = false;
  slow.SetStall([&](FileOp, const std::string&) {
    other = std::async(std::launch::async, [&] { EXPECT_TRUE(slow_pool.Get("a").ok()); });
    through = other.wait_for(std::chrono::seconds(5)) == std::future_status::ready;
  });
  EXPECT_TRUE(slow_pool.Get("b").ok());
  other.wait();
  EXPECT_TRUE(through);
}

TEST_F(FilePoolTest, AFileForgottenWhileItIsOpenedIsNotKept) {
  FaultyFileSystem slow(disk);
  FilePool slow_pool(slow, 2);
  slow.AddFault({.kind = FileFault::Kind::kStall, .ops = {FileOp::kOpen}, .count = 1});
  slow.SetStall([&](FileOp, const std::string& path) { slow_pool.Forget(path); });
  ASSERT_TRUE(slow_pool.Get("a").ok());
  EXPECT_EQ(slow_pool.size(), 0u);
  ASSERT_TRUE(slow_pool.Get("a").ok());
  EXPECT_EQ(slow_pool.size(), 1u);
}

TEST_F(FilePoolTest, TwoThatOpenAFileAtOnceShareIt) {
  FaultyFileSystem slow(disk);
  FilePool slow_pool(slow, 2);
  slow.AddFault({.kind = FileFault::Kind::kStall, .ops = {FileOp::kOpen}, .count = 1});
  std::shared_ptr<File> quicker;
  slow.SetStall([&](FileOp, const std::string& path) { quicker = *slow_pool.Get(path); });
  const auto file = slow_pool.Get("a");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file, quicker);
  EXPECT_EQ(slow_pool.size(), 1u);
}

TEST_F(FilePoolTest, SaysWhichFileIsMissing) {
  const auto missing = pool.Get("no such file");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_EQ(pool.size(), 0u);
}

}  // namespace
}  // namespace varve::storage
