// The two programs of power_cut_test.py, on real files and threads:
//   power_cut_writer write DIR           appends to two logs for ever; one line "GROUP INDEX" for
//                                        each acknowledged entry
//   power_cut_writer write-unsynced DIR  the same with a planted defect: it does not sync
//   power_cut_writer check DIR           recovers; one line "GROUP INDEX" for each log's end
// What stands at an index follows from the group and the entries before it, so that `check` knows
// every byte that may be found. Errors go to stderr, exit code 1.
#include <cstdio>
#include <future>
#include <iostream>
#include <map>
#include <optional>

#include "common/error.h"
#include "common/strings.h"
#include "storage/defect.h"
#include "tests/storage/directory_host.h"
#include "tests/storage/storage_threads.h"

namespace varve::storage {
namespace {

constexpr std::array kGroups = {GroupId{100}, GroupId{200}};
constexpr Term kTerm{1};

Entry Next(GroupId group, const LogEnd& end, const std::vector<EpochStart>& epochs) {
  const uint64_t index = end.last_index.value() + 1;
  if (index % 40 == 0) return RollEntry(group, end, kTerm, epochs);
  return DataEntry(group, end, kTerm, 1, index * 37 % 3000);
}

DataDirectoryOptions Options(const std::string& path) {
  DataDirectoryOptions options = SmallOptions();
  options.path = path;
  options.journal.file_bytes = 256 << 10;
  options.sync_interval = 50 * kMillisecond;
  options.cache_bytes = 0;
  return options;
}

// Runs `step(done)` on the executor and waits for what `done` is called with.
template <class Result, class Step>
Result Await(Executor& executor, Step step) {
  std::promise<Result> answered;
  executor.Post(
      [&] { step([&answered](Result result) { answered.set_value(std::move(result)); }); });
  return answered.get_future().get();
}

int Fail(const absl::Status& status) {
  std::cerr << MessageOf(status) << std::endl;
  return 1;
}

class Program {
 public:
  absl::Status Open(const std::string& path) {
    auto opened = DataDirectory::Open(RealFileSystem(), RealClock(), *random_, Options(path),
                                      threads_.executors());
    VARVE_RETURN_IF_ERROR(opened.status());
    directory_ = *std::move(opened);
    for (const GroupId group : directory_->groups()) {
      auto log = directory_->OpenLog(group, *shard_);
      VARVE_RETURN_IF_ERROR(log.status());
      logs_[group] = *std::move(log);
    }
    return absl::OkStatus();
  }

  int Write() {
    for (const GroupId group : kGroups) {
      if (logs_.contains(group)) continue;
      auto log = Await<absl::StatusOr<std::unique_ptr<PartitionLog>>>(*shard_, [&](auto done) {
        directory_->CreateLog(group, ReplicaEpoch{1}, TestBootstrap(), *shard_, std::move(done));
      });
      if (!log.ok()) return Fail(log.status());
      logs_[group] = *std::move(log);
    }
    shard_->Post([this] {
      for (const GroupId group : kGroups) Append(group);
    });
    return Fail(failed_.get_future().get());
  }

  int Check() {
    for (const auto& [group, log] : logs_) {
      if (absl::Status wrong = CheckLog(group, *log); !wrong.ok()) return Fail(wrong);
      std::cout << group.value() << ' ' << log->end().last_index.value() << std::endl;
    }
    return 0;
  }

 private:
  // One entry, and the next when it is acknowledged.
  void Append(GroupId group) {
    PartitionLog& log = *logs_[group];
    LogWrite write;
    write.entries.push_back(Next(group, log.end(), log.epochs()));
    write.commit_index = log.end().last_index;
    if (log.hard_state().term < kTerm) write.hard_state = HardState{kTerm, {}};
    const Entry& entry = write.entries.back();
    const uint64_t index = entry.header.last_index.value();
    if (!entry.header.zero_width() && !directory_->TryReserveDirty(entry.frame.size(), nullptr)) {
      shard_->RunAt(RealClock().Now() + kMillisecond, [this, group] { Append(group); });
      return;
    }
    log.Write(std::move(write), [this, group, index](const absl::Status& status) {
      if (!status.ok()) return failed_.set_value(status);
      std::cout << StrCat(group.value(), " ", index, "\n") << std::flush;
      Append(group);
    });
  }

  absl::Status CheckLog(GroupId group, PartitionLog& log) {
    VARVE_RETURN_IF_ERROR(log.suspicion());
    LogEnd end;
    std::vector<EpochStart> epochs;
    while (end.last_index < log.end().last_index) {
      VARVE_ASSIGN_OR_RETURN(
          const ReadResult read, Await<absl::StatusOr<ReadResult>>(*shard_, [&](auto done) {
            log.Read(end.last_index + 1, log.end().last_index, 1 << 20, std::move(done));
          }));
      for (const Entry& entry : read.entries) {
        // The first entry is the bootstrap's.
        if (entry.header.first_index > Index{1} &&
            entry.frame.view() != Next(group, end, epochs).frame.view())
          return MakeError(Reason::DATA_LOSS, "group ", group, ": another entry at ",
                           entry.header.first_index);
        if (epochs.empty() || epochs.back().term < entry.header.term)
          epochs.push_back({entry.header.term, entry.header.first_index, entry.header.base_offset});
        end = EndAfter(entry);
      }
    }
    return absl::OkStatus();
  }

  std::unique_ptr<Random> random_ = SystemRandom();
  std::unique_ptr<Executor> shard_ = ThreadExecutor("shard");
  StorageThreads threads_;
  std::unique_ptr<DataDirectory> directory_;
  std::map<GroupId, std::unique_ptr<PartitionLog>> logs_;
  std::promise<absl::Status> failed_;
};

int Main(const std::string& mode, const std::string& path) {
  if (mode == "write-unsynced") planted_defect = Defect::kAcknowledgedBeforeSync;
  Program program;
  if (const absl::Status opened = program.Open(path); !opened.ok()) return Fail(opened);
  const int code = mode == "check" ? program.Check() : program.Write();
  std::_Exit(code);  // as a process that is killed: nothing is closed
}

}  // namespace
}  // namespace varve::storage

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: power_cut_writer write|write-unsynced|check DIR" << std::endl;
    return 2;
  }
  return varve::storage::Main(argv[1], argv[2]);
}
