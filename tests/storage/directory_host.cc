#include "tests/storage/directory_host.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/record_batch_builder.h"
#include "common/strings.h"

namespace varve::storage {
namespace {

EntryHeader Continuing(GroupId group, const LogEnd& end, Term term, EntryKind kind) {
  EntryHeader header;
  header.kind = kind;
  header.group = group;
  header.first_index = header.last_index = end.last_index + 1;
  header.term = term;
  header.base_offset = end.next_offset;
  header.last_offset = end.next_offset - 1;
  header.append_time = end.append_time + 1;
  return header;
}

}  // namespace

Configuration OneVoter(NodeId node) {
  Configuration configuration;
  configuration.voters = {{node, ReplicaEpoch{1}}};
  return configuration;
}

Bootstrap TestBootstrap() { return {OneVoter(), WallTime{1000}}; }

Entry DataEntry(GroupId group, const LogEnd& end, Term term, int records, size_t value_bytes) {
  EntryHeader header = Continuing(group, end, term, EntryKind::kData);
  RecordBatchBuilder builder;
  std::string value(value_bytes, '\0');
  for (size_t i = 0; i < value.size(); ++i)
    value[i] = static_cast<char>(group.value() * 31 + header.first_index.value() * 7 +
                                 term.value() * 13 + i * i);
  for (int i = 0; i < records; ++i)
    EXPECT_TRUE(builder.Add(header.append_time, StrCat("key", i), value).ok());
  header.last_offset = end.next_offset + (records - 1);
  return FrameBuffer::Copy(builder.Build().value()).Seal(header);
}

Entry BarrierEntry(GroupId group, const LogEnd& end, Term term) {
  return FrameBuffer::Copy("").Seal(Continuing(group, end, term, EntryKind::kBarrier));
}

Entry RollEntry(GroupId group, const LogEnd& end, Term term,
                const std::vector<EpochStart>& epochs) {
  SegmentStart start;
  start.config = OneVoter();
  start.epochs = epochs;
  return FrameBuffer::Copy(EncodeMeta(start)).Seal(Continuing(group, end, term, EntryKind::kMeta));
}

Entry TrimEntry(GroupId group, const LogEnd& end, Term term, Offset log_start) {
  return FrameBuffer::Copy(EncodeMeta(Trim{log_start}))
      .Seal(Continuing(group, end, term, EntryKind::kMeta));
}

LogEnd EndAfter(const Entry& entry) {
  return {entry.header.last_index, entry.header.term, entry.header.next_offset(),
          entry.header.append_time};
}

// As a naive reader of the whole log would: the newest committed trim, then the newest committed
// segment start that it has passed.
void LogImage::ApplyTrims(bool release) {
  size_t first = 0;
  for (const Entry& entry : entries) {
    if (entry.header.kind != EntryKind::kMeta || entry.header.first_index > commit_index) continue;
    if (const auto log_start = TrimOf(entry.payload()))
      start.offset = std::max(start.offset, std::min(*log_start, entry.header.base_offset));
  }
  for (size_t i = 1; release && i < entries.size(); ++i) {
    const EntryHeader& header = entries[i].header;
    if (header.kind == EntryKind::kMeta && IsSegmentStart(entries[i].payload()) &&
        header.first_index <= commit_index && header.base_offset <= start.offset)
      first = i;
  }
  if (first == 0) return;
  start.index = entries[first].header.first_index;
  start.previous_term = entries[first - 1].header.term;
  dropped_epochs = {epochs()};
  std::erase_if(dropped_epochs, [&](const EpochStart& e) {
    return e.term != start.previous_term || e.term < entries[first].header.term;
  });
  entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(first));
}

std::vector<EpochStart> LogImage::epochs() const {
  std::vector<EpochStart> out = dropped_epochs;
  for (const Entry& entry : entries)
    if (out.empty() || out.back().term < entry.header.term)
      out.push_back({entry.header.term, entry.header.first_index, entry.header.base_offset});
  return out;
}

std::string LogImage::Difference(const LogImage& other) const {
  if (entries.size() != other.entries.size())
    return StrCat(entries.size(), " entries, not ", other.entries.size());
  for (size_t i = 0; i < entries.size(); ++i)
    if (entries[i].frame.view() != other.entries[i].frame.view()) return StrCat("entry ", i + 1);
  if (start != other.start)
    return StrCat("log start ", start.index, " (offset ", start.offset, "), not ",
                  other.start.index, " (offset ", other.start.offset, ")");
  if (dropped_epochs != other.dropped_epochs) return "epochs before the log start";
  if (hard_state != other.hard_state) return "hard state";
  if (commit_index != other.commit_index)
    return StrCat("commit index ", commit_index, ", not ", other.commit_index);
  if (configurations != other.configurations) return "configurations";
  return "";
}

DataDirectoryOptions SmallOptions() {
  DataDirectoryOptions options;
  options.path = "data";
  options.node = NodeId{1};
  options.journal.file_bytes = 64 << 10;
  options.journal.max_live_files = 3;
  options.cache_bytes = 16 << 10;
  options.dirty_budget_bytes = 256 << 10;
  options.reserve_bytes = 64 << 10;
  options.max_open_files = 4;
  options.max_unsynced_files = 3;
  return options;
}

DirectoryHost::DirectoryHost(uint64_t s, DataDirectoryOptions o)
    : seed(s),
      scheduler(s),
      disk(&scheduler, {.seed = s}),
      random(SeededRandom(s)),
      options(std::move(o)) {}

DirectoryHost::~DirectoryHost() { Kill(); }

absl::Status DirectoryHost::Open() {
  Kill();
  StorageExecutors executors;
  const auto make = [this](const char* name) {
    return executors_.emplace_back(scheduler.NewExecutor(name)).get();
  };
  executors.journal = make("journal");
  executors.segments = make("segments");
  executors.sync = make("sync");
  executors.reader = make("reader");
  executors.watch = make("watch");
  shard = scheduler.NewExecutor("shard");
  auto opened = DataDirectory::Open(*files, scheduler.clock(), *random, options, executors);
  if (!opened.ok()) return opened.status();
  directory = *std::move(opened);
  for (const GroupId group : directory->groups()) {
    auto log = directory->OpenLog(group, *shard);
    if (!log.ok()) return log.status();
    logs[group] = *std::move(log);
  }
  return absl::OkStatus();
}

void DirectoryHost::Kill() {
  logs.clear();
  directory.reset();
  shard.reset();
  executors_.clear();
}

void DirectoryHost::Crash(bool power) {
  if (power) {
    disk.PowerLoss(*random);
  } else {
    disk.ProcessCrash();
  }
  Kill();
}

absl::Status DirectoryHost::Close() {
  logs.clear();
  std::optional<absl::Status> closed;
  directory->Close([&](absl::Status status) { closed = std::move(status); });
  if (!scheduler.RunUntil([&] { return closed.has_value(); }, 10 * kSecond))
    return MakeError(Reason::INTERNAL, "the directory does not close");
  Kill();
  return *closed;
}

void DirectoryHost::OnShard(Task step) {
  bool ran = false;
  shard->Post([&] {
    step();
    ran = true;
  });
  scheduler.RunUntil([&] { return ran; }, kSecond);
}

absl::Status DirectoryHost::Create(GroupId group, ReplicaEpoch epoch,
                                   std::optional<Bootstrap> bootstrap) {
  std::optional<absl::Status> created;
  directory->CreateLog(group, epoch, std::move(bootstrap), *shard, [&](auto log) {
    created = log.status();
    if (log.ok()) logs[group] = *std::move(log);
  });
  if (!scheduler.RunUntil([&] { return created.has_value(); }, 10 * kSecond))
    return MakeError(Reason::INTERNAL, "the creation is not answered");
  return *created;
}

absl::Status DirectoryHost::Remove(GroupId group) {
  logs.erase(group);
  std::optional<absl::Status> removed;
  directory->RemoveLog(group, *shard, [&](absl::Status status) { removed = std::move(status); });
  if (!scheduler.RunUntil([&] { return removed.has_value(); }, 10 * kSecond))
    return MakeError(Reason::INTERNAL, "the removal is not answered");
  return *removed;
}

void DirectoryHost::Submit(GroupId group, LogWrite write, PartitionLog::Done done) {
  size_t bytes = 0;
  for (const Entry& entry : write.entries)
    if (!entry.header.zero_width()) bytes += entry.frame.size();
  if (bytes > 0) {
    EXPECT_TRUE(scheduler.RunUntil([&] { return directory->TryReserveDirty(bytes, nullptr); },
                                   10 * kSecond))
        << "no room in the dirty budget: " << directory->dirty_bytes();
  }
  OnShard([&] { log(group).Write(std::move(write), std::move(done)); });
}

absl::Status DirectoryHost::Write(GroupId group, LogWrite write) {
  std::optional<absl::Status> answer;
  Submit(group, std::move(write), [&](absl::Status status) { answer = std::move(status); });
  if (!scheduler.RunUntil([&] { return answer.has_value(); }, 10 * kSecond))
    return MakeError(Reason::INTERNAL, "the write is not answered");
  return *answer;
}

absl::StatusOr<ReadResult> DirectoryHost::Read(GroupId group, Index from, Index through,
                                               size_t max_bytes) {
  std::optional<absl::StatusOr<ReadResult>> answer;
  OnShard([&] {
    log(group).Read(from, through, max_bytes, [&](auto result) { answer = std::move(result); });
  });
  if (!scheduler.RunUntil([&] { return answer.has_value(); }, kSecond))
    return MakeError(Reason::INTERNAL, "the read is not answered");
  return *std::move(answer);
}

absl::StatusOr<ReadResult> DirectoryHost::ReadOffset(GroupId group, Offset offset, Index through,
                                                     size_t max_bytes) {
  std::optional<absl::StatusOr<ReadResult>> answer;
  OnShard([&] {
    log(group).ReadOffset(offset, through, max_bytes,
                          [&](auto result) { answer = std::move(result); });
  });
  if (!scheduler.RunUntil([&] { return answer.has_value(); }, kSecond))
    return MakeError(Reason::INTERNAL, "the read is not answered");
  return *std::move(answer);
}

absl::StatusOr<std::optional<TimeLookup>> DirectoryHost::FindTime(GroupId group, WallTime time,
                                                                  Index through) {
  std::optional<absl::StatusOr<std::optional<TimeLookup>>> answer;
  OnShard([&] {
    log(group).FindAppendTime(time, through, [&](auto result) { answer = std::move(result); });
  });
  if (!scheduler.RunUntil([&] { return answer.has_value(); }, kSecond))
    return MakeError(Reason::INTERNAL, "the lookup is not answered");
  return *std::move(answer);
}

absl::StatusOr<LogImage> DirectoryHost::Image(GroupId group, size_t read_bytes) {
  LogImage image;
  PartitionLog& opened = log(group);
  const LogEnd end = opened.end();
  image.start = opened.start();
  for (const EpochStart& epoch : opened.epochs())
    if (epoch.index < image.start.index) image.dropped_epochs.push_back(epoch);
  for (Index next = image.start.index; next <= end.last_index;) {
    auto read = Read(group, next, end.last_index, read_bytes);
    if (!read.ok()) return read.status();
    if (read->entries.empty()) return MakeError(Reason::INTERNAL, "nothing at index ", next);
    for (Entry& entry : read->entries) {
      if (entry.header.first_index != next)
        return MakeError(Reason::INTERNAL, "index ", entry.header.first_index, " where ", next,
                         " is due");
      next = entry.header.last_index + 1;
      image.entries.push_back(std::move(entry));
    }
  }
  if (image.start.index > Index{1} &&
      opened.TermAt(image.start.index - 1) != image.start.previous_term)
    return MakeError(Reason::INTERNAL, "the term before the log start differs");
  image.hard_state = opened.hard_state();
  image.commit_index = opened.commit_index();
  image.configurations = opened.configurations();
  if (image.end() != end)
    return MakeError(Reason::INTERNAL, "the log end is not that of its entries");
  if (opened.epochs() != image.epochs()) return MakeError(Reason::INTERNAL, "the epochs differ");
  for (const Entry& entry : image.entries)
    if (opened.TermAt(entry.header.first_index) != entry.header.term)
      return MakeError(Reason::INTERNAL, "the term at ", entry.header.first_index, " differs");
  return image;
}

// --- LogScript

void LogScript::Begin() {
  auto image = host_->Image(group_);
  ASSERT_TRUE(image.ok()) << image.status();
  images_ = {*std::move(image)};
  acknowledged_ = 0;
  ++life_;
}

void LogScript::Append(int entries, size_t value_bytes) {
  if (image().hard_state.term == Term{0}) NewTerm();
  LogImage after = image();
  LogWrite write;
  for (int i = 0; i < entries; ++i) {
    after.entries.push_back(DataEntry(group_, after.end(), after.hard_state.term,
                                      1 + static_cast<int>(host_->random->Below(3)), value_bytes));
    write.entries.push_back(after.entries.back());
  }
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Roll() {
  if (image().hard_state.term == Term{0}) NewTerm();
  LogImage after = image();
  LogWrite write;
  after.entries.push_back(RollEntry(group_, after.end(), after.hard_state.term, after.epochs()));
  write.entries.push_back(after.entries.back());
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Truncate(Index from, int entries_after) {
  LogImage after = image();
  LogWrite write;
  write.truncate_from = from;
  while (after.end().last_index >= from) after.entries.pop_back();
  // What replaces entries is of another term.
  after.hard_state = {after.hard_state.term + 1, {}};
  write.hard_state = after.hard_state;
  after.ApplyTrims(false);
  for (int i = 0; i < entries_after; ++i) {
    after.entries.push_back(
        DataEntry(group_, after.end(), after.hard_state.term, 1, host_->random->Below(900)));
    write.entries.push_back(after.entries.back());
  }
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::NewTerm() {
  LogImage after = image();
  after.hard_state = {after.hard_state.term + 1, {NodeId{1}, ReplicaEpoch{1}}};
  after.entries.push_back(BarrierEntry(group_, after.end(), after.hard_state.term));
  after.configurations.uncommitted = ConfigurationAt{after.end().last_index, OneVoter(NodeId{2})};
  LogWrite write;
  write.entries.push_back(after.entries.back());
  write.hard_state = after.hard_state;
  write.configurations = after.configurations;
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Commit(Index through) {
  LogImage after = image();
  after.commit_index = std::max(after.commit_index, through);
  LogWrite write;
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Trim(Offset log_start) {
  if (image().hard_state.term == Term{0}) NewTerm();
  LogImage after = image();
  LogWrite write;
  after.entries.push_back(TrimEntry(group_, after.end(), after.hard_state.term, log_start));
  write.entries.push_back(after.entries.back());
  write.commit_index = after.commit_index;
  Send(std::move(write), std::move(after));
}

void LogScript::Send(LogWrite write, LogImage after) {
  after.ApplyTrims(!write.truncate_from);
  images_.push_back(std::move(after));
  PartitionLog::Done done = [this, at = images_.size() - 1,
                             life = life_](const absl::Status& status) {
    if (life != life_) return;
    if (!status.ok()) {
      refused_ = true;
      return;
    }
    EXPECT_EQ(at, acknowledged_ + 1) << "out of order";
    acknowledged_ = at;
  };
  if (holds_) {
    held_.push_back({std::move(write), std::move(done)});
  } else {
    host_->Submit(group_, std::move(write), std::move(done));
  }
}

std::string LogScript::Judge(const LogImage& found) const {
  std::string difference;
  for (size_t at = acknowledged_; at < images_.size(); ++at) {
    difference = found.Difference(images_[at]);
    if (difference.empty()) return difference;
  }
  return StrCat("ends at ", found.end().last_index, ": ", difference);
}

void LogScript::Check() {
  ++life_;
  auto found = host_->Image(group_);
  ASSERT_TRUE(found.ok()) << "seed " << host_->seed << ", group " << group_ << ": "
                          << found.status();
  std::string differences;
  for (size_t at = acknowledged_; at < images_.size(); ++at) {
    const std::string difference = found->Difference(images_[at]);
    if (difference.empty()) {
      images_ = {*std::move(found)};
      acknowledged_ = 0;
      refused_ = false;
      return;
    }
    differences += StrCat("\n  write ", at, ": ", difference);
  }
  FAIL() << "seed " << host_->seed << ", group " << group_ << ": the log, which ends at "
         << found->end().last_index << ", is none of those asked for since write " << acknowledged_
         << differences;
}

}  // namespace varve::storage
