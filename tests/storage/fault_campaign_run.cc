#include "tests/storage/fault_campaign_run.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

constexpr std::array kGroups = {GroupId{100}, GroupId{200}};

DataDirectoryOptions CampaignOptions() {
  DataDirectoryOptions options = SmallOptions();
  options.sync_interval = 100 * kMillisecond;
  options.cache_bytes = 0;
  return options;
}

}  // namespace

CampaignRun::CampaignRun(uint64_t seed, FaultCounts* counts)
    : host(seed, CampaignOptions()),
      faulty(host.disk, seed),
      draw(SeededRandom(seed ^ 0x5eed)),
      counts_(counts) {
  host.files = &faulty;
  host.options.recovery_trace = &counts->rows;
  faulty.SetStall([this](FileOp, const std::string&) {
    host.scheduler.Stall(static_cast<Nanos>(draw->Below(5 * kSecond)));
  });
}

CampaignRun::~CampaignRun() { host.Kill(); }  // its files go through `faulty`

bool CampaignRun::Begin() {
  if (!host.Open().ok()) return false;
  identity_ = host.directory->identity();
  process_epoch_ = host.directory->process_epoch();
  for (const GroupId group : kGroups) {
    if (!host.Create(group).ok()) return false;
    scripts.push_back(std::make_unique<LogScript>(&host, group));
    scripts.back()->Begin();
    scripts.back()->NewTerm();
  }
  return Settle();
}

void CampaignRun::Steps(int steps) {
  for (int i = 0; i < steps; ++i) {
    Step(*scripts[draw->Below(scripts.size())]);
    if (!Settle()) return;
    if (draw->Below(4) == 0) host.scheduler.RunFor(150 * kMillisecond);
  }
}

void CampaignRun::Step(LogScript& script) {
  const LogEnd end = script.image().end();
  const Index commit = script.image().commit_index;
  switch (draw->Below(8)) {
    case 0:
      return script.Roll();
    case 1:
      if (end.last_index > commit + 2) script.Truncate(end.last_index - draw->Below(2), 1);
      return;
    case 2:
      if (end.last_index > commit + 3) script.Commit(end.last_index - 2);
      return;
    default:
      script.Append(1 + static_cast<int>(draw->Below(3)), draw->Below(6000));
  }
}

bool CampaignRun::Settle() {
  bool refused = false;
  host.scheduler.RunUntil(
      [&] {
        bool settled = true;
        for (const auto& script : scripts) {
          settled = settled && script->Settled();
          refused = refused || script->refused();
        }
        return settled || refused;
      },
      kSecond);
  for (const auto& script : scripts) refused = refused || !script->Settled();
  return !refused && host.directory->health().ok();
}

void CampaignRun::Crash(bool power) {
  power_lost_ = power_lost_ || power;
  host.Crash(power);
}

std::string CampaignRun::Judge(absl::Status* told) {
  *told = host.Open();
  if (!told->ok()) return "";
  if (host.directory->process_epoch() != process_epoch_ + 1)
    return StrCat("process epoch ", host.directory->process_epoch(), " after ", process_epoch_);
  for (const auto& script : scripts) {
    if (!host.logs.contains(script->group())) return StrCat("group ", script->group(), " is gone");
    if (absl::Status suspect = host.log(script->group()).suspicion(); !suspect.ok()) {
      *told = std::move(suspect);
      if (std::string wrong = JudgeSuspect(*script); !wrong.empty()) return wrong;
      continue;
    }
    const auto image = host.Image(script->group());
    if (!image.ok()) {
      *told = image.status();
      continue;
    }
    std::string wrong = script->Judge(*image);
    if (wrong.empty()) wrong = JudgeTimes(script->group(), *image, told);
    if (!wrong.empty()) return StrCat("group ", script->group(), " ", wrong);
  }
  return "";
}

std::string CampaignRun::JudgeSuspect(const LogScript& script) {
  const PartitionLog& log = host.log(script.group());
  const Index committed = log.commit_index();
  for (Index next = log.start().index; next <= committed;) {
    const auto read = host.Read(script.group(), next, committed, 8192);
    if (!read.ok()) break;
    if (read->entries.empty()) return StrCat("a suspect log shows nothing at ", next);
    for (const Entry& entry : read->entries) {
      const auto& meant = script.image().entries;
      if (entry.header.last_index < script.image().start.index) continue;  // trimmed since
      const auto at = std::find_if(meant.begin(), meant.end(), [&](const Entry& e) {
        return e.header.first_index == entry.header.first_index;
      });
      if (at == meant.end() || at->frame.view() != entry.frame.view())
        return StrCat("a suspect log shows another entry at ", entry.header.first_index);
    }
    next = read->entries.back().header.last_index + 1;
  }
  return "";
}

// Each append time is found where a reader of the whole log finds it.
std::string CampaignRun::JudgeTimes(GroupId group, const LogImage& image, absl::Status* told) {
  WallTime newest{0};
  for (const Entry& entry : image.entries) {
    if (entry.header.kind != EntryKind::kData || entry.header.append_time <= newest) continue;
    newest = entry.header.append_time;
    const auto found = host.FindTime(group, newest, image.end().last_index);
    if (!found.ok()) {
      *told = found.status();
      return "";
    }
    if (!found->has_value()) return StrCat("finds nothing at time ", newest);
    if ((*found)->index != entry.header.first_index)
      return StrCat("finds index ", (*found)->index, " at time ", newest, ", not ",
                    entry.header.first_index);
  }
  return "";
}

std::string CampaignRun::JudgeSyncPoints() {
  const auto journal = ReadJournal(host.disk, "data/journal", identity_);
  if (!journal.ok()) return "";  // as the directory's recovery will tell
  for (const auto& script : scripts) {
    const ReplicaRecord* record = journal->replicas.Find(script->group());
    if (record == nullptr) continue;
    std::string wrong = JudgeSyncPoint(*script, *record);
    if (!wrong.empty()) return StrCat("group ", script->group(), " ", wrong);
  }
  return "";
}

std::string CampaignRun::JudgeSyncPoint(const LogScript& script, const ReplicaRecord& record) {
  const SyncPoint& point = record.sync_point;
  if (point.file == FileNumber{}) return "";
  for (const SegmentRef& ref : record.segments) {
    const bool last = ref.file == point.file;
    const uint64_t end = last ? point.position : ref.end_position;
    if (end <= kFileHeaderBytes) return "";  // a trim lifted it: nothing is covered
    const std::string path = JoinPath(JoinPath("data/groups", GroupDirectoryName(record.group)),
                                      SegmentFileName(ref.base_offset, ref.file));
    const auto bytes = ReadWholeFile(host.disk, path, 1 << 26);
    if (!bytes.ok() || bytes->size() < end)
      return StrCat("is synced up to ", point.index, ", but ", path, " ends before ", end);
    const std::string_view synced = std::string_view(*bytes).substr(kFileHeaderBytes);
    const bool explained = script.SomeImage([&](const LogImage& image) {
      if (image.end() != record.scalars.end) return false;
      uint64_t at = kFileHeaderBytes;
      for (const Entry& entry : image.entries) {
        const std::string_view frame = entry.frame.view();
        if (entry.header.first_index < ref.first_index) continue;
        if (at == end) break;
        if (synced.substr(at - kFileHeaderBytes, frame.size()) != frame) return false;
        at += frame.size();
      }
      return at == end;
    });
    if (!explained)
      return StrCat("is synced up to ", point.index, ", but ", path, " holds something else");
    if (last) return "";
  }
  return StrCat("is synced in file ", point.file, ", which is none of its own");
}

std::string CampaignRun::MustBeWhole(const std::string& kind, bool told_before) {
  std::string wrong = power_lost_ ? JudgeSyncPoints() : "";
  absl::Status told;
  if (wrong.empty()) wrong = Judge(&told);
  if (wrong.empty() && !told.ok()) wrong = StrCat("an undamaged directory: ", MessageOf(told));
  Note(kind, told_before || !told.ok());
  return wrong;
}

std::string CampaignRun::MustBeTold(const std::string& kind, absl::Status* told) {
  std::string wrong = Judge(told);
  const Reason reason = ReasonOf(*told);
  // An error that blames something else is as good as none.
  const bool names_it = told->ok() || reason == Reason::DATA_LOSS ||
                        reason == Reason::REPLICA_SUSPECT || reason == Reason::NEWER_FORMAT ||
                        reason == Reason::FOREIGN_DIRECTORY;
  if (wrong.empty() && !names_it) wrong = StrCat("told as ", MessageOf(*told));
  return wrong.empty() ? wrong : StrCat(kind, ": ", wrong);
}

std::vector<std::string> CampaignRun::Files(std::string_view suffix) {
  std::vector<std::string> paths;
  const auto list = [&](const std::string& directory) {
    const auto listed = host.disk.List(directory);
    if (!listed.ok()) return;
    for (const DirectoryEntry& entry : *listed)
      if (entry.name.ends_with(suffix) && entry.size > 0)
        paths.push_back(JoinPath(directory, entry.name));
  };
  list("data");
  list("data/journal");
  const auto groups = host.disk.List("data/groups");
  if (groups.ok())
    for (const DirectoryEntry& group : *groups) list(JoinPath("data/groups", group.name));
  return paths;
}

void CampaignRun::Note(const std::string& kind, bool told) {
  FaultCounts::Kind& count = counts_->kinds[kind];
  ++count.reached;
  count.told += told ? 1 : 0;
}

}  // namespace varve::storage
