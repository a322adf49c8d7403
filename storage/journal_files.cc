#include "storage/journal_files.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

#include "common/error.h"
#include "common/limits.h"
#include "storage/defect.h"
#include "storage/format/checkpoint.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_mark.h"

namespace varve::storage {
namespace {

constexpr std::string_view kSuffix = ".jnl";
constexpr size_t kDigits = 20;
// A checkpoint is written once per file: at this ratio it costs at most 5 % of the bytes.
constexpr uint64_t kFileToCheckpoint = 20;
// Spare files kept: enough that a steady load never waits for a file to be zeroed.
constexpr size_t kMaxSpareFiles = 3;

// Who may not open a file is told so: the disk is sound.
absl::Status Failed(const absl::Status& status) {
  return status.ok() || absl::IsPermissionDenied(status)
             ? status
             : MakeError(Reason::DISK_FAILED, MessageOf(status));
}

// For what may be tried again: allocation.
absl::Status FailedOrFull(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kResourceExhausted) return Failed(status);
  return MakeError(Reason::NO_SPACE, MessageOf(status));
}

uint64_t RoundUp(uint64_t bytes) {
  return (bytes + limits::kBlockBytes - 1) / limits::kBlockBytes * limits::kBlockBytes;
}

}  // namespace

std::string JournalName(FileNumber file) {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%020" PRIu64, file.value());
  return std::string(digits).append(kSuffix);
}

std::optional<FileNumber> JournalNumberOf(std::string_view name) {
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t number = 0;
  for (const char digit : name.substr(0, kDigits)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(digit - '0');
  }
  // Also refuses 20 digits that 64 bits cannot hold.
  if (number == 0 || JournalName(FileNumber{number}) != name) return std::nullopt;
  return FileNumber{number};
}

JournalFiles::JournalFiles(FileSystem& files, std::string directory, DirectoryIdentity identity,
                           uint64_t file_bytes, std::atomic<uint64_t>* next_file)
    : files_(files),
      directory_(std::move(directory)),
      identity_(identity),
      file_bytes_(file_bytes),
      next_file_(next_file) {}

std::string JournalFiles::PathOf(FileNumber file) const {
  return JoinPath(directory_, JournalName(file));
}

absl::Status JournalFiles::Inherit(const std::vector<JournalFileRef>& listed) {
  const auto list = files_.List(directory_);
  if (!list.ok()) return Failed(list.status());
  for (const DirectoryEntry& entry : *list) {
    const auto number = JournalNumberOf(entry.name);
    if (!number) continue;
    inherited_.push_back(*number);
    const bool unlisted =
        std::none_of(listed.begin(), listed.end(),
                     [&](const JournalFileRef& ref) { return ref.file == *number; });
    if (unlisted) unlisted_.push_back(*number);
    next_file_->store(std::max(next_file_->load(), number->value() + 1));
  }
  return OpenMark();
}

absl::Status JournalFiles::OpenMark() {
  const std::string path = JoinPath(directory_, kJournalMarkName);
  auto file = files_.Open(path, OpenMode::kReadWrite);
  const bool made = absl::IsNotFound(file.status());
  if (made) file = files_.Open(path, OpenMode::kCreate);
  if (!file.ok()) return FailedOrFull(file.status());
  mark_ = *std::move(file);
  VARVE_RETURN_IF_ERROR(FailedOrFull(mark_->Allocate(kJournalMarkBytes, /*zero_fill=*/true)));
  if (!made) return absl::OkStatus();
  VARVE_RETURN_IF_ERROR(Failed(mark_->SyncData()));
  return Failed(files_.SyncDirectory(directory_));
}

// Before the first commit in `target`, behind its head: a mark names a file that was there. Without
// it, a directory whose newest journal file is lost would pass for an older, whole one.
absl::Status JournalFiles::WriteMark(const LiveFile& target) {
  const std::string slot = EncodeJournalMark({target.ref, target.size});
  VARVE_RETURN_IF_ERROR(Failed(mark_->WriteAt(JournalMarkPosition(target.ref.generation), slot)));
  return Failed(mark_->SyncData());
}

absl::Status JournalFiles::MakeReserve() {
  if (!spare_.empty()) return absl::OkStatus();
  const FileNumber number{next_file_->fetch_add(1)};
  {
    auto file = files_.Open(PathOf(number), OpenMode::kCreate);
    if (!file.ok()) return FailedOrFull(file.status());
    // Room is all that is wanted by now: zeros are written when the file will soon be used.
    absl::Status status = FailedOrFull((*file)->Allocate(active_.size, /*zero_fill=*/false));
    // A head that never had a checkpoint, older than any that has: recovery passes it by.
    LiveFile reserve;
    reserve.ref = {number, Generation{1}};
    reserve.position = kFileHeaderBytes + 2 * limits::kBlockBytes;
    if (status.ok()) status = Failed((*file)->WriteAt(0, HeaderOf(reserve)));
    if (status.ok()) status = Failed((*file)->SyncData());
    if (!status.ok()) {
      file->reset();
      files_.RemoveFile(PathOf(number)).IgnoreError();  // listed nowhere
      return status;
    }
  }
  VARVE_RETURN_IF_ERROR(SyncNames());
  AddSpare(number, /*filled=*/false);
  return absl::OkStatus();
}

absl::Status JournalFiles::SyncNames() {
  if (Planted(Defect::kJournalDirectoryNotSynced)) return absl::OkStatus();
  return Failed(files_.SyncDirectory(directory_));
}

absl::Status JournalFiles::Roll(Checkpoint* checkpoint, uint64_t room_bytes) {
  absl::Status status = RollInto(checkpoint, room_bytes);
  if (ReasonOf(status) != Reason::NO_SPACE || unlisted_.empty()) return status;
  VARVE_RETURN_IF_ERROR(TrustUnlisted());
  return RollInto(checkpoint, room_bytes);
}

// On a full disk the first Roll takes a file that the checkpoint which recovery read does not list.
// That one may have lain in the page cache alone, and an older one may list the file: so what was
// read is made durable first.
absl::Status JournalFiles::TrustUnlisted() {
  for (const FileNumber number : inherited_) {
    if (std::find(unlisted_.begin(), unlisted_.end(), number) != unlisted_.end()) continue;
    const auto file = files_.Open(PathOf(number), OpenMode::kReadWrite);
    if (!file.ok()) return Failed(file.status());
    VARVE_RETURN_IF_ERROR(Failed((*file)->SyncData()));
  }
  VARVE_RETURN_IF_ERROR(Failed(files_.SyncDirectory(directory_)));
  for (const FileNumber number : std::exchange(unlisted_, {})) {
    std::erase(inherited_, number);
    AddSpare(number, /*filled=*/true);
  }
  return absl::OkStatus();
}

absl::Status JournalFiles::RollInto(Checkpoint* checkpoint, uint64_t room_bytes) {
  LiveFile next;
  bool created = false;
  VARVE_RETURN_IF_ERROR(OpenTarget(&next, &created));
  next.ref.generation = checkpoint->next_generation;
  Checkpoint written = *checkpoint;
  written.next_generation = next.ref.generation + 1;
  written.next_file = FileNumber{next_file_->load()};
  written.live_files = ListAfterRoll(next.ref);
  const std::string bytes = EncodeCheckpoint(written, next.ref.generation);
  next.position = kFileHeaderBytes + bytes.size();
  const uint64_t wanted =
      std::max({file_bytes_, bytes.size() * kFileToCheckpoint, next.position + room_bytes});
  VARVE_RETURN_IF_ERROR(PrepareTarget(&next, created, RoundUp(wanted), next.position + room_bytes));
  VARVE_RETURN_IF_ERROR(WriteHead(next, bytes, created));
  VARVE_RETURN_IF_ERROR(WriteMark(next));
  checkpoint->next_generation = written.next_generation;
  checkpoint->next_file = written.next_file;
  checkpoint->live_files = std::move(written.live_files);
  Activate(std::move(next));
  return absl::OkStatus();
}

absl::Status JournalFiles::OpenTarget(LiveFile* target, bool* created) {
  *created = spare_.empty() || (spare_.size() == 1 && FreedByRoll() == 0);
  if (*created) {
    target->ref.file = FileNumber{next_file_->fetch_add(1)};
  } else {
    const auto filled =
        std::find_if(spare_.begin(), spare_.end(), [](const Spare& spare) { return spare.filled; });
    target->ref.file = (filled == spare_.end() ? spare_.begin() : filled)->file;
  }
  auto file =
      files_.Open(PathOf(target->ref.file), *created ? OpenMode::kCreate : OpenMode::kReadWrite);
  if (!file.ok()) return FailedOrFull(file.status());
  target->file = *std::move(file);
  return absl::OkStatus();
}

// The file's room; a new one that gets none goes again, so that a full disk leaves nothing behind.
// One that exists serves as it is when it cannot grow and has the `least` room.
absl::Status JournalFiles::PrepareTarget(LiveFile* target, bool created, uint64_t size,
                                         uint64_t least) {
  const auto present = target->file->Size();
  if (!present.ok()) return Failed(present.status());
  target->size = std::max(*present, size);
  if (*present >= size) return absl::OkStatus();
  absl::Status status = FailedOrFull(target->file->Allocate(size, /*zero_fill=*/true));
  if (!status.ok() && created) {
    target->file.reset();
    // A file left over is harmless: no checkpoint lists it.
    files_.RemoveFile(PathOf(target->ref.file)).IgnoreError();
  }
  if (ReasonOf(status) != Reason::NO_SPACE || *present < least) return status;
  target->size = *present;
  return absl::OkStatus();
}

std::string JournalFiles::HeaderOf(const LiveFile& target) const {
  FileHeader header;
  header.kind = FileKind::kJournal;
  header.identity = identity_;
  header.file = target.ref.file;
  header.generation = target.ref.generation;
  header.first_commit_position = target.position;
  return EncodeFileHeader(header);
}

absl::Status JournalFiles::WriteHead(const LiveFile& target, std::string_view checkpoint,
                                     bool created) {
  const std::string block = HeaderOf(target);
  const std::array<std::string_view, 2> pieces = {block, checkpoint};
  VARVE_RETURN_IF_ERROR(Failed(target.file->WriteAt(0, pieces)));
  VARVE_RETURN_IF_ERROR(Failed(target.file->SyncData()));
  if (created) VARVE_RETURN_IF_ERROR(SyncNames());
  bytes_written_ += target.position;
  return absl::OkStatus();
}

// Recovery replays what is listed in full and in order: a file may go only when none before it
// stays.
std::vector<JournalFileRef> JournalFiles::ListAfterRoll(const JournalFileRef& next) const {
  std::vector<JournalFileRef> list;
  if (Planted(Defect::kEarlierFilesNotListed)) return {next};
  for (size_t i = FirstNeeded(); i < older_.size(); ++i) list.push_back(older_[i].ref);
  if (!list.empty() || !active_.pins.empty()) list.push_back(active_.ref);
  list.push_back(next);
  return list;
}

size_t JournalFiles::FirstNeeded() const {
  const auto at = std::find_if(older_.begin(), older_.end(),
                               [](const LiveFile& file) { return !file.pins.empty(); });
  return static_cast<size_t>(at - older_.begin());
}

// After the checkpoint in `target` is durable: what it does not list is spare.
void JournalFiles::Activate(LiveFile target) {
  const auto used_again = std::find_if(spare_.begin(), spare_.end(), [&](const Spare& spare) {
    return spare.file == target.ref.file;
  });
  if (used_again != spare_.end()) {
    spare_.erase(used_again);
    ++recycled_;
  }
  if (active_.file != nullptr) {
    active_.file.reset();
    older_.push_back(std::move(active_));
  }
  active_ = std::move(target);
  const auto needed = older_.begin() + static_cast<std::ptrdiff_t>(FirstNeeded());
  for (auto at = older_.begin(); at != needed; ++at) AddSpare(at->ref.file, /*filled=*/true);
  older_.erase(older_.begin(), needed);
  for (const FileNumber file : inherited_) AddSpare(file, /*filled=*/true);
  inherited_.clear();
  unlisted_.clear();
}

void JournalFiles::AddSpare(FileNumber file, bool filled) {
  if (spare_.size() < kMaxSpareFiles) {
    spare_.push_back({file, filled});
    return;
  }
  // Recovery ignores the file either way: it is listed nowhere.
  files_.RemoveFile(PathOf(file)).IgnoreError();
}

// At a quarter of the active file: zeros are written long before they are needed, and light load
// had its segments synced, so that the next Roll frees a file.
std::optional<JournalFiles::SpareWork> JournalFiles::TakeSpareWork() {
  if (active_.position < active_.size / 4) return std::nullopt;
  const auto filled =
      std::count_if(spare_.begin(), spare_.end(), [](const Spare& spare) { return spare.filled; });
  const bool only_reserve = spare_.size() == 1 && FreedByRoll() == 0;
  if (filled > 0 && !only_reserve) return std::nullopt;
  const auto raw =
      std::find_if(spare_.begin(), spare_.end(), [](const Spare& spare) { return !spare.filled; });
  if (raw == spare_.end())
    return SpareWork{FileNumber{next_file_->fetch_add(1)}, false, active_.size};
  const SpareWork work{raw->file, true, active_.size};
  spare_.erase(raw);
  return work;
}

bool JournalFiles::HasRoom(uint64_t bytes) const {
  return active_.position + bytes <= active_.size;
}

absl::Status JournalFiles::Append(std::span<const std::string_view> pieces, uint64_t bytes) {
  VARVE_RETURN_IF_ERROR(Failed(active_.file->WriteAt(active_.position, pieces)));
  active_.position += bytes;
  bytes_written_ += bytes;
  return absl::OkStatus();
}

absl::Status JournalFiles::Sync() {
  const absl::Status status = active_.file->SyncData();
  if (Planted(Defect::kFailedSyncRetried) && !status.ok()) return Failed(active_.file->SyncData());
  return Failed(status);
}

void JournalFiles::Pin(GroupId group, ReplicaEpoch epoch, FrameSequence frame) {
  active_.pins[{group, epoch}] = frame;
}

void JournalFiles::Release(GroupId group, FrameSequence through) {
  const auto release = [&](Pins& pins) {
    auto at = pins.lower_bound({group, ReplicaEpoch{}});
    while (at != pins.end() && at->first.first == group) {
      const bool covered = at->second <= through || Planted(Defect::kPinsReleasedEarly);
      at = covered ? pins.erase(at) : std::next(at);
    }
  };
  for (LiveFile& file : older_) release(file.pins);
  release(active_.pins);
}

size_t JournalFiles::FreedByRoll() const {
  const bool active_too = active_.file != nullptr && !AnyPinned();
  return FirstNeeded() + inherited_.size() + (active_too ? 1 : 0);
}

bool JournalFiles::OlderPinned() const { return FirstNeeded() < older_.size(); }

size_t JournalFiles::live() const { return older_.size() - FirstNeeded() + 1; }

size_t JournalFiles::LiveAfterRoll() const {
  return live() + (OlderPinned() || !active_.pins.empty() ? 1 : 0);
}

}  // namespace varve::storage
