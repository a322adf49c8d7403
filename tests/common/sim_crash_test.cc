// What a power loss may and may not leave on the simulated disk, over many seeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/error.h"
#include "common/random.h"
#include "common/sim/sim_file_system.h"

namespace varve {
namespace {

constexpr uint64_t kSeeds = 200;

// A disk with the durable directory "d".
class Disk {
 public:
  explicit Disk(uint64_t seed) : files_(nullptr, {.seed = seed}), random_(SeededRandom(seed)) {
    EXPECT_EQ(files_.CreateDirectory("d"), absl::OkStatus());
    EXPECT_EQ(files_.SyncDirectory("."), absl::OkStatus());
  }
  SimFileSystem& files() { return files_; }
  Random& random() { return *random_; }
  std::unique_ptr<File> Create(const std::string& path) {
    auto file = files_.Open(path, OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  // A file whose name and bytes are durable, open for writing.
  std::unique_ptr<File> CreateDurable(const std::string& path, std::string_view bytes) {
    auto file = Create(path);
    Write(*file, 0, bytes);
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    EXPECT_EQ(files_.SyncDirectory("d"), absl::OkStatus());
    return file;
  }
  static void Write(File& file, uint64_t position, std::string_view bytes) {
    EXPECT_EQ(file.WriteAt(position, bytes), absl::OkStatus());
  }
  void PowerLoss() { files_.PowerLoss(*random_); }
  // The bytes, or "-" without the file.
  std::string Content(const std::string& path) {
    const auto bytes = ReadWholeFile(files_, path, 1 << 26);
    EXPECT_TRUE(bytes.ok() || absl::IsNotFound(bytes.status())) << bytes.status();
    return bytes.ok() ? *bytes : "-";
  }

 private:
  SimFileSystem files_;
  std::unique_ptr<Random> random_;
};

// What came out of `scenario`, which ends in a power loss, and how often, over all seeds.
std::map<std::string, int> Outcomes(const std::function<std::string(Disk&)>& scenario) {
  std::map<std::string, int> outcomes;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Disk disk(seed);
    ++outcomes[scenario(disk)];
  }
  return outcomes;
}

std::set<std::string> Kinds(const std::map<std::string, int>& outcomes) {
  std::set<std::string> kinds;
  for (const auto& [kind, count] : outcomes) kinds.insert(kind);
  return kinds;
}

using Set = std::set<std::string>;

// --- Bytes

TEST(SimCrashTest, SyncedBytesAreNeverLost) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.CreateDurable("d/f", "one");
    Disk::Write(*file, 3, "two");
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    disk.PowerLoss();
    disk.PowerLoss();
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), Set{"onetwo"});
}

TEST(SimCrashTest, UnsyncedBytesAreKeptOrLostOrLeaveZeros) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.CreateDurable("d/f", "one");
    Disk::Write(*file, 3, "two");
    disk.PowerLoss();
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"one", "onetwo", std::string("one\0\0\0", 6)}));
}

TEST(SimCrashTest, UnsyncedWritesAreLostIndependently) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.CreateDurable("d/f", std::string(2048, '.'));
    Disk::Write(*file, 0, "a");
    Disk::Write(*file, 1024, "b");
    disk.PowerLoss();
    const std::string bytes = disk.Content("d/f");
    return std::string{bytes[0], bytes[1024]};
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"..", "a.", ".b", "ab"})) << "also the second without the first";
}

TEST(SimCrashTest, AWriteTearsBetweenSectorsOnly) {
  std::set<std::string> patterns;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Disk disk(seed);
    auto file = disk.CreateDurable("d/f", std::string(5 * kSimSectorBytes, 'o'));
    Disk::Write(*file, 100, std::string(4 * kSimSectorBytes, 'n'));  // from sector 0 into sector 4
    disk.PowerLoss();
    const std::string bytes = disk.Content("d/f");
    ASSERT_EQ(bytes.size(), 5 * kSimSectorBytes);
    std::string pattern;
    for (uint64_t sector = 0; sector < 5; ++sector) {
      const uint64_t from = sector == 0 ? 100 : 0;
      const uint64_t length = sector == 4 ? 100 : kSimSectorBytes - from;
      const std::string part = bytes.substr(sector * kSimSectorBytes + from, length);
      ASSERT_TRUE(part == std::string(length, part[0])) << "seed " << seed << " sector " << sector;
      pattern += part[0];
    }
    EXPECT_EQ(bytes.substr(0, 100), std::string(100, 'o'));
    EXPECT_EQ(bytes.substr(4 * kSimSectorBytes + 100), std::string(kSimSectorBytes - 100, 'o'));
    patterns.insert(pattern);
  }
  EXPECT_TRUE(patterns.contains("nnnnn"));
  EXPECT_TRUE(patterns.contains("ooooo"));
  EXPECT_GE(patterns.size(), 15U) << "torn in many ways";
}

TEST(SimCrashTest, TruncationIsDurableOnlyWithASync) {
  const auto truncate = [](bool sync) {
    return Outcomes([sync](Disk& disk) {
      auto file = disk.CreateDurable("d/f", "abcdef");
      EXPECT_EQ(file->Truncate(2), absl::OkStatus());
      if (sync) {
        EXPECT_EQ(file->SyncData(), absl::OkStatus());
      }
      disk.PowerLoss();
      return disk.Content("d/f");
    });
  };
  EXPECT_EQ(Kinds(truncate(false)), (Set{"ab", "abcdef"}));
  EXPECT_EQ(Kinds(truncate(true)), Set{"ab"});
}

TEST(SimCrashTest, TruncatedBytesDoNotComeBackOnceSynced) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.CreateDurable("d/f", std::string(10'000, 'x'));
    EXPECT_EQ(file->Truncate(1), absl::OkStatus());
    Disk::Write(*file, 5'000, "y");
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    disk.PowerLoss();
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), Set{"x" + std::string(4'999, '\0') + "y"});
}

TEST(SimCrashTest, AllocationIsDurableOnlyWithASync) {
  for (const bool zero_fill : {false, true}) {
    const auto allocate = [zero_fill](bool sync) {
      return Outcomes([sync, zero_fill](Disk& disk) {
        auto file = disk.CreateDurable("d/f", "abc");
        EXPECT_EQ(file->Allocate(8'192, zero_fill), absl::OkStatus());
        if (sync) {
          EXPECT_EQ(file->SyncData(), absl::OkStatus());
        }
        disk.PowerLoss();
        const std::string bytes = disk.Content("d/f");
        EXPECT_EQ(bytes, "abc" + std::string(bytes.size() - 3, '\0'));
        return bytes.size() == 3 ? "old" : bytes.size() == 8'192 ? "new" : "part";
      });
    };
    EXPECT_EQ(Kinds(allocate(true)), Set{"new"});
    const Set expected = zero_fill ? Set{"new", "old", "part"} : Set{"new", "old"};
    EXPECT_EQ(Kinds(allocate(false)), expected);
  }
}

TEST(SimCrashTest, AProcessCrashKeepsEverythingWritten) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.Create("d/f");
    Disk::Write(*file, 0, "abc");
    disk.files().ProcessCrash();
    EXPECT_FALSE(file->WriteAt(0, "X").ok());
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), Set{"abc"});
}

TEST(SimCrashTest, BytesOfAProcessThatCrashedAreStillUnsynced) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.CreateDurable("d/f", "one");
    Disk::Write(*file, 0, "two");
    disk.files().ProcessCrash();
    disk.PowerLoss();
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"one", "two"}));
}

// --- Names

TEST(SimCrashTest, ANameIsLostWithoutSyncDirectoryHoweverOftenTheFileIsSynced) {
  const auto outcomes = Outcomes([](Disk& disk) {
    auto file = disk.Create("d/f");
    Disk::Write(*file, 0, "abc");
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    disk.PowerLoss();
    return disk.Content("d/f");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"-", "abc"}));
}

TEST(SimCrashTest, SyncDirectoryKeepsItsNamesOnly) {
  const auto outcomes = Outcomes([](Disk& disk) {
    EXPECT_EQ(disk.files().CreateDirectory("d/sub"), absl::OkStatus());
    disk.Create("d/f");
    disk.Create("d/sub/g");
    EXPECT_EQ(disk.files().SyncDirectory("d"), absl::OkStatus());
    disk.PowerLoss();
    EXPECT_EQ(disk.Content("d/f"), "");
    return disk.Content("d/sub/g");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"", "-"}));
}

TEST(SimCrashTest, ADirectoryWithoutADurableNameTakesItsFilesAlong) {
  const auto outcomes = Outcomes([](Disk& disk) {
    EXPECT_EQ(disk.files().CreateDirectory("d/sub"), absl::OkStatus());
    auto file = disk.Create("d/sub/f");
    Disk::Write(*file, 0, "abc");
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    EXPECT_EQ(disk.files().SyncDirectory("d/sub"), absl::OkStatus());
    disk.PowerLoss();
    return disk.Content("d/sub/f");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"-", "abc"}));
}

TEST(SimCrashTest, RemovalIsDurableOnlyWithSyncDirectory) {
  const auto remove = [](bool sync) {
    return Outcomes([sync](Disk& disk) {
      disk.CreateDurable("d/f", "abc");
      EXPECT_EQ(disk.files().RemoveFile("d/f"), absl::OkStatus());
      if (sync) {
        EXPECT_EQ(disk.files().SyncDirectory("d"), absl::OkStatus());
      }
      disk.PowerLoss();
      return disk.Content("d/f");
    });
  };
  EXPECT_EQ(Kinds(remove(false)), (Set{"-", "abc"}));
  EXPECT_EQ(Kinds(remove(true)), Set{"-"});
}

TEST(SimCrashTest, RenameIsAtomic) {
  const auto outcomes = Outcomes([](Disk& disk) {
    disk.CreateDurable("d/old", "old");
    disk.CreateDurable("d/new", "new");
    EXPECT_EQ(disk.files().Rename("d/new", "d/old"), absl::OkStatus());
    disk.PowerLoss();
    return disk.Content("d/old") + " " + disk.Content("d/new");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"old new", "new -"}));
}

TEST(SimCrashTest, ARenameBetweenDirectoriesNeedsTheTargetSynced) {
  const auto move = [](const std::string& synced) {
    return Outcomes([synced](Disk& disk) {
      EXPECT_EQ(disk.files().CreateDirectory("e"), absl::OkStatus());
      EXPECT_EQ(disk.files().SyncDirectory("."), absl::OkStatus());
      auto file = disk.Create("d/f");
      Disk::Write(*file, 0, "abc");
      EXPECT_EQ(file->SyncData(), absl::OkStatus());
      EXPECT_EQ(disk.files().Rename("d/f", "e/f"), absl::OkStatus());
      EXPECT_EQ(disk.files().SyncDirectory(synced), absl::OkStatus());
      disk.PowerLoss();
      return disk.Content("d/f") + " " + disk.Content("e/f");
    });
  };
  EXPECT_EQ(Kinds(move("d")), (Set{"- abc", "abc -"}));
  EXPECT_EQ(Kinds(move("e")), Set{"- abc"});
}

TEST(SimCrashTest, AFileNeverHasTwoNamesNorComesBackOnceItsRemovalIsDurable) {
  const auto outcomes = Outcomes([](Disk& disk) {
    disk.CreateDurable("d/a", "abc");
    EXPECT_EQ(disk.files().Rename("d/a", "d/b"), absl::OkStatus());
    EXPECT_EQ(disk.files().Rename("d/b", "d/c"), absl::OkStatus());
    EXPECT_EQ(disk.files().RemoveFile("d/c"), absl::OkStatus());
    disk.PowerLoss();
    std::string names;
    const auto entries = disk.files().List("d");
    for (const DirectoryEntry& entry : *entries) names += entry.name;
    disk.PowerLoss();
    EXPECT_EQ(disk.files().List("d")->size(), names.size()) << "the second loss changes nothing";
    return names;
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"", "a", "b", "c"}));
}

TEST(SimCrashTest, UnsyncedNamesSurviveInOrderAndOutOfOrder) {
  const auto outcomes = Outcomes([](Disk& disk) {
    disk.Create("d/a");
    disk.Create("d/b");
    disk.PowerLoss();
    return disk.Content("d/a") + disk.Content("d/b");
  });
  EXPECT_EQ(Kinds(outcomes), (Set{"--", "-", ""}));
  EXPECT_GT(outcomes.at(""), 0);
}

TEST(SimCrashTest, ReplaceFileIsAllOrNothing) {
  std::set<std::string> seen;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    // Every boundary: the k-th operation is the last.
    for (uint64_t last = 0;; ++last) {
      Disk disk(seed);
      disk.CreateDurable("d/f", "old");
      disk.files().FailAfter(last);
      const bool done = ReplaceFile(disk.files(), "d/f", "new").ok();
      disk.PowerLoss();
      const std::string found = disk.Content("d/f");
      EXPECT_TRUE(found == "new" || (!done && found == "old")) << found << " seed " << seed;
      seen.insert(found);
      if (done) break;
    }
  }
  EXPECT_EQ(seen, (Set{"new", "old"}));
}

// --- Files, locks, determinism

TEST(SimCrashTest, OpenFilesAndLocksOfBeforeAreDead) {
  Disk disk(1);
  auto file = disk.CreateDurable("d/f", "abc");
  auto lock = disk.files().Lock("d/LOCK");
  ASSERT_TRUE(lock.ok()) << lock.status();
  disk.PowerLoss();
  char byte = 0;
  for (const absl::Status& status :
       {file->WriteAt(0, "X"), file->ReadAt(0, 1, &byte).status(), file->SyncData(),
        file->StartWriteBack(0, 1), file->Truncate(0), file->Allocate(9, false),
        file->Size().status()}) {
    EXPECT_EQ(ReasonOf(status), Reason::DISK_FAILED) << status;
  }
  EXPECT_EQ(disk.Content("d/f"), "abc");
  const auto again = disk.files().Lock("d/LOCK");
  ASSERT_TRUE(again.ok()) << again.status();
  lock->reset();  // must not release the new one
  EXPECT_FALSE(disk.files().Lock("d/LOCK").ok());
}

// A busy disk: everything is drawn from the seed.
void Work(Disk& disk, int steps) {
  for (int i = 0; i < steps; ++i) {
    const std::string path = StrCat("d/f", disk.random().Below(4));
    auto file = disk.files().Open(path, OpenMode::kReadWrite);
    if (!file.ok()) file = disk.files().Open(path, OpenMode::kCreate);
    ASSERT_TRUE(file.ok()) << file.status();
    const uint64_t position = disk.random().Below(20'000);
    switch (disk.random().Below(8)) {
      case 0:
        EXPECT_EQ((*file)->Truncate(position), absl::OkStatus());
        break;
      case 1:
        EXPECT_EQ((*file)->SyncData(), absl::OkStatus());
        break;
      case 2:
        EXPECT_EQ((*file)->Allocate(position, disk.random().OneIn(2)), absl::OkStatus());
        break;
      case 3:
        EXPECT_EQ(disk.files().Rename(path, StrCat("d/f", disk.random().Below(4))),
                  absl::OkStatus());
        break;
      case 4:
        EXPECT_EQ(disk.files().SyncDirectory("d"), absl::OkStatus());
        break;
      default:
        Disk::Write(**file, position, std::string(disk.random().Below(9'000), 'a' + i % 26));
    }
  }
}

TEST(SimCrashTest, EqualSeedsLeaveEqualBytes) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const auto run = [seed] {
      Disk disk(seed);
      Work(disk, 60);
      disk.PowerLoss();
      Work(disk, 60);
      disk.PowerLoss();
      return disk.files().ContentHash();
    };
    const uint64_t hash = run();
    EXPECT_EQ(hash, run()) << "seed " << seed;
    hashes.insert(hash);
  }
  EXPECT_GE(hashes.size(), 45U);
}

// A synced state is the same before and after a power loss, however the disk got there.
TEST(SimCrashTest, AFullySyncedDiskSurvivesUnchanged) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    Disk disk(seed);
    for (int round = 0; round < 3; ++round) {
      Work(disk, 50);
      ASSERT_EQ(disk.files().SyncDirectory("d"), absl::OkStatus());
      const auto entries = disk.files().List("d");
      for (const DirectoryEntry& entry : *entries) {
        const auto file = disk.files().Open(JoinPath("d", entry.name), OpenMode::kReadWrite);
        ASSERT_EQ((*file)->SyncData(), absl::OkStatus());
      }
      const uint64_t hash = disk.files().ContentHash();
      const uint64_t used = disk.files().used_bytes();
      disk.PowerLoss();
      ASSERT_EQ(disk.files().ContentHash(), hash) << "seed " << seed;
      ASSERT_EQ(disk.files().used_bytes(), used) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace varve
