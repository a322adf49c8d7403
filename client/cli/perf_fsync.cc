// varve perf fsync
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "client/cli/perf_commands.h"
#include "client/cli/perf_load.h"
#include "client/cli/perf_progress.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

using Clock = std::chrono::steady_clock;

// The probe goes round in a file of this size, whose blocks exist already, as a journal does.
constexpr uint64_t kProbeFileBytes = 64 * 1024 * 1024;
constexpr uint64_t kProbeBytes = 4 * 1024;
constexpr uint64_t kLoopBytes = 128 * 1024;
constexpr uint64_t kMaxWriteBytes = 64 * 1024 * 1024;
// The bare loop's file grows; it ends before a small disk is full.
constexpr uint64_t kMaxFileBytes = uint64_t{8} * 1024 * 1024 * 1024;

struct PerfFsyncOptions {
  std::string directory = ".";
  bool loop = false;
  double rate = 0;  // writes per second; 0: no pause
  uint64_t size = 0;
  PerfLimits limits;
};

// A file of the directory that has no name any more: it goes with the process.
class ScratchFile {
 public:
  ScratchFile() = default;
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() {
    if (fd_ >= 0) close(fd_);
  }
  Status Open(const std::string& directory) {
    std::string path = directory + "/varve-perf-fsync-XXXXXX";
    fd_ = mkostemp(path.data(), O_CLOEXEC);
    if (fd_ < 0)
      return LocalError("cannot create a file in " + directory, errno,
                        "Name a directory that you may write to with --dir.");
    unlink(path.c_str());
    return Status();
  }
  Status WriteAt(std::string_view bytes, uint64_t offset) {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return LocalError("cannot write", errno, "Check the disk's free space.");
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return Status();
  }
  Status Sync() {
    if (fdatasync(fd_) == 0) return Status();
    return LocalError("fdatasync failed", errno, "Check the disk: its log says why.");
  }

 private:
  int fd_ = -1;
};

struct SyncCounts {
  ConcurrentHistogram latency;
  std::atomic<uint64_t> writes = 0;
};

Status Preallocate(ScratchFile& file) {
  const std::string zeros(1024 * 1024, '\0');
  for (uint64_t at = 0; at < kProbeFileBytes; at += zeros.size()) {
    if (Status status = file.WriteAt(zeros, at); !status.ok()) return status;
  }
  return file.Sync();
}

// Write and sync, one after the other, until a limit or an interrupt.
Status SyncLoop(const PerfFsyncOptions& options, PerfPayload& payload, ScratchFile& file,
                SyncCounts& counts) {
  const PerfLimits limits = options.limits.OrDefault();
  const uint64_t file_bytes = options.loop ? kMaxFileBytes : kProbeFileBytes;
  const Clock::time_point begin = Clock::now();
  uint64_t at = 0;
  while (!Interrupted()) {
    if (options.rate > 0) {
      const std::chrono::duration<double> due(static_cast<double>(counts.writes) / options.rate);
      std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due));
    }
    const Clock::time_point start = Clock::now();
    if (limits.records > 0 && counts.writes >= limits.records) break;
    if (limits.duration.count() > 0 && start - begin >= limits.duration) break;
    if (at + options.size > file_bytes) {
      if (options.loop) break;
      at = 0;
    }
    if (Status status = file.WriteAt(payload.NextValue(), at); !status.ok()) return status;
    if (Status status = file.Sync(); !status.ok()) return status;
    counts.latency.Record(static_cast<uint64_t>((Clock::now() - start).count()));
    ++counts.writes;
    at += options.size;
  }
  return Status();
}

CommandEnd PerfFsync(const CommandContext& context, PerfFsyncOptions options) {
  const GlobalOptions& global = context.options;
  if (options.size == 0) options.size = options.loop ? kLoopBytes : kProbeBytes;
  if (options.size > kMaxWriteBytes)
    return UsageError("a write has at most 64 MiB", "Choose a smaller --size.");
  Result<PerfPayload> payload = PerfPayload::Make(options.size, 0, "");
  if (!payload.ok()) return payload.status();
  PerfReport report;
  report.benchmark = options.loop ? "fsync loop" : "fsync";
  report.unit = "writes";
  report.uses_broker = false;
  report.command = context.command_text;
  report.context = ReadRunContext(options.directory);
  report.settings["write_bytes"] = options.size;
  report.settings["pattern"] =
      options.loop ? "append to one growing file, fdatasync after each write"
                   : "sequential within a preallocated file, fdatasync after each write";
  if (options.rate > 0) report.settings["rate"] = options.rate;
  ScratchFile file;
  if (Status status = file.Open(options.directory); !status.ok()) return status;
  if (!options.loop) {
    if (Status status = Preallocate(file); !status.ok()) return status;
  }
  CatchInterrupts();
  SyncCounts counts;
  CpuMeter cpu({});
  if (Status status = cpu.Start(); !status.ok()) return status;
  const Clock::time_point begin = Clock::now();
  {
    const PerfProgress progress(global.quiet, report.benchmark, "writes", [&] {
      const uint64_t writes = counts.writes;
      return PerfSample{writes, writes * options.size, 0, counts.latency.Snapshot()};
    });
    if (Status status = SyncLoop(options, *payload, file, counts); !status.ok()) return status;
    report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  if (Status status = cpu.Finish(report); !status.ok()) return status;
  report.records = counts.writes;
  report.bytes = report.records * options.size;
  report.latency = counts.latency.Snapshot();
  report.latency_meaning = "of one write and its fdatasync";
  return FinishPerf(global, report);
}

}  // namespace

void AddPerfFsync(CLI::App& perf, CommandContext& context) {
  auto options = std::make_shared<PerfFsyncOptions>();
  CLI::App* command =
      AddCommand(perf, "fsync", "How fast the disk makes writes durable; needs no broker",
                 {"varve perf fsync --dir /var/lib/varve --duration 5s",
                  "varve perf fsync --dir /var/lib/varve --loop -o json"});
  command->add_option("--dir", options->directory, "Directory on the disk to measure")
      ->type_name("DIR")
      ->capture_default_str();
  command->add_flag("--loop", options->loop,
                    "The bare loop that figures are compared with: append 128 KiB to one growing "
                    "file and sync, again and again (8 GiB at most)");
  AddSize(*command, "--size", options->size, "Size of a write; default 4KiB, with --loop 128KiB");
  command
      ->add_option("--rate", options->rate,
                   "Writes per second, as a paced producer causes them; default: one after another")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  AddPerfLimits(*command, options->limits, "writes");
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return PerfFsync(context, *options); };
  });
}

}  // namespace varve::cli
