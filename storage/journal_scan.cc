#include "storage/journal_scan.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "storage/format/checkpoint.h"
#include "storage/journal_files.h"

namespace varve::storage {
namespace {

constexpr uint64_t kBlock = limits::kBlockBytes;
constexpr uint64_t kScanBytes = 1 << 20;

// Exactly `length` bytes, or fewer at the end of the file.
absl::StatusOr<std::string> Read(const JournalSource& source, uint64_t position, uint64_t length) {
  if (position > source.size) return std::string();
  std::string bytes(std::min(length, source.size - position), '\0');
  auto count = source.file->ReadAt(position, bytes.size(), bytes.data());
  if (!count.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(count.status()));
  bytes.resize(*count);
  return bytes;
}

absl::Status CheckHeader(const JournalSource& source) {
  const FileHeader& header = source.header;
  if (header.file != source.number) {
    return MakeError(Reason::DATA_LOSS, "journal file header names file ", header.file);
  }
  if (header.generation == Generation{} || header.first_commit_position % kBlock != 0 ||
      header.first_commit_position < 3 * kBlock || header.first_commit_position > source.size) {
    return MakeError(Reason::DATA_LOSS, "journal file header of generation ", header.generation,
                     " with the first commit at ", header.first_commit_position, " of ",
                     source.size);
  }
  return absl::OkStatus();
}

// Calls `visit(position, block)` for every whole block from `position` on, until it returns false.
template <class Visit>
absl::Status ForEachBlock(const JournalSource& source, uint64_t position, Visit visit) {
  while (position + kBlock <= source.size) {
    VARVE_ASSIGN_OR_RETURN(const std::string bytes, Read(source, position, kScanBytes));
    const uint64_t whole = bytes.size() / kBlock * kBlock;
    if (whole == 0) break;
    for (uint64_t at = 0; at < whole; at += kBlock)
      if (!visit(position + at, std::string_view(bytes).substr(at, kBlock))) {
        return absl::OkStatus();
      }
    position += whole;
  }
  return absl::OkStatus();
}

// What stands where a commit's header should, and is none of this life of the file.
CommitSeen WithoutHeader(std::string_view block) {
  Generation generation;
  if (IsCommitOfAnyGeneration(block, &generation)) return CommitSeen::kStale;
  return block.find_first_not_of('\0') == std::string_view::npos ? CommitSeen::kZeroes
                                                                 : CommitSeen::kGarbage;
}

}  // namespace

absl::StatusOr<JournalSource> OpenJournalSource(FileSystem& files, const std::string& directory,
                                                FileNumber number) {
  JournalSource source;
  source.number = number;
  source.path = JoinPath(directory, JournalName(number));
  auto file = files.Open(source.path, OpenMode::kRead);
  if (absl::IsPermissionDenied(file.status())) return file.status();
  if (!file.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(file.status()));
  source.file = *std::move(file);
  const auto size = source.file->Size();
  if (!size.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(size.status()));
  source.size = *size;
  VARVE_ASSIGN_OR_RETURN(const std::string block, Read(source, 0, kFileHeaderBytes));
  auto header = DecodeFileHeader(block, FileKind::kJournal);
  source.header_status = header.status();
  if (ReasonOf(header.status()) == Reason::NEWER_FORMAT) {
    return AddContext(header.status(), source.path);
  }
  if (header.ok()) {
    source.header = *header;
    source.header_status = CheckHeader(source);
  }
  return source;
}

absl::StatusOr<Checkpoint> LoadCheckpoint(const JournalSource& source) {
  const JournalFileRef self{source.number, source.header.generation};
  VARVE_ASSIGN_OR_RETURN(const std::string head,
                         Read(source, kFileHeaderBytes, kCheckpointFixedBytes));
  VARVE_ASSIGN_OR_RETURN(const uint64_t length, CheckpointBytes(head, self.generation));
  if (kFileHeaderBytes + length != source.header.first_commit_position) {
    return MakeError(Reason::DATA_LOSS, "checkpoint of ", length,
                     " bytes does not end at the first commit");
  }
  VARVE_ASSIGN_OR_RETURN(const std::string bytes, Read(source, kFileHeaderBytes, length));
  VARVE_ASSIGN_OR_RETURN(Checkpoint checkpoint, DecodeCheckpoint(bytes, self.generation));
  const auto& live = checkpoint.live_files;
  const bool ascending = std::is_sorted(live.begin(), live.end(), [](const auto& a, const auto& b) {
    return a.generation < b.generation;
  });
  if (live.empty() || live.back() != self || !ascending) {
    return MakeError(Reason::DATA_LOSS, "checkpoint does not list its own file last");
  }
  return checkpoint;
}

absl::StatusOr<CommitSequence> IncludedCommits(const JournalSource& source) {
  VARVE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, LoadCheckpoint(source));
  return checkpoint.last_commit;
}

std::optional<JournalCommit> CommitReader::End(CommitSeen seen, absl::Status reason) {
  seen_ = seen;
  end_reason_ = std::move(reason);
  return std::nullopt;
}

absl::StatusOr<std::optional<JournalCommit>> CommitReader::Next(
    std::optional<CommitSequence> expected) {
  VARVE_ASSIGN_OR_RETURN(const std::string block, Read(source_, position_, kBlock));
  const auto header = DecodeCommitHeader(block, source_.header.generation);
  if (!header.ok()) return End(WithoutHeader(block), header.status());
  torn_ = *header;
  if (expected && header->sequence != *expected) {
    return End(CommitSeen::kOtherSequence,
               JournalDamage(source_, position_, *expected,
                             StrCat("commit ", header->sequence, " stands in its place")));
  }
  const auto torn = [this](std::string_view what) {
    return End(CommitSeen::kTorn, MakeError(Reason::DATA_LOSS, what));
  };
  // Compared before anything of that size is allocated.
  if (header->bytes > source_.size - position_)
    return torn(StrCat("commit of ", header->bytes, " bytes reaches beyond the file"));
  VARVE_ASSIGN_OR_RETURN(std::string bytes, Read(source_, position_, header->bytes));
  if (bytes.size() != header->bytes) return torn("the file is cut");
  const SharedBytes buffer = SharedBytes::Take(std::move(bytes));
  if (absl::Status status = VerifyCommit(buffer.view(), *header); !status.ok())
    return End(CommitSeen::kTorn, std::move(status));
  auto commit = DecodeCommit(buffer, *header);
  if (!commit.ok()) {
    return End(CommitSeen::kMalformed,
               JournalDamage(source_, position_, header->sequence, MessageOf(commit.status())));
  }
  position_ += header->bytes;
  torn_.reset();
  seen_ = CommitSeen::kValid;
  return std::optional<JournalCommit>(*std::move(commit));
}

void CommitReader::SkipTo(uint64_t position) {
  position_ = position;
  torn_.reset();
}

absl::StatusOr<CommitTraces> FindTraces(const JournalSource& source, uint64_t position) {
  CommitTraces traces;
  const Generation generation = source.header.generation;
  VARVE_RETURN_IF_ERROR(
      ForEachBlock(source, position, [&](uint64_t /*at*/, std::string_view block) {
        if (const auto header = DecodeCommitHeader(block, generation); header.ok()) {
          traces.last = std::max(traces.last, header->sequence);
          traces.durable_through = std::max(traces.durable_through, header->durable_through);
        }
        if (const auto tail = DecodeCommitTail(block, generation); tail.ok()) {
          traces.last = std::max(traces.last, tail->sequence);
        }
        return true;
      }));
  return traces;
}

namespace {

// The list that the commit `next`, if it begins at `position`, has of the one before it.
absl::StatusOr<std::optional<std::vector<GroupFrame>>> PrecedingList(const JournalSource& source,
                                                                     uint64_t position,
                                                                     CommitSequence next) {
  VARVE_ASSIGN_OR_RETURN(const std::string block, Read(source, position, kBlock));
  const auto header = DecodeCommitHeader(block, source.header.generation);
  if (!header.ok() || header->sequence != next) return std::nullopt;
  VARVE_ASSIGN_OR_RETURN(const std::string bytes, Read(source, position, header->header_bytes));
  auto lists = ReadHeaderLists(bytes, *header);
  if (!lists) return std::nullopt;
  return std::optional(std::move(lists->preceding));
}

// The list in the trailer of the commit `sequence`, if that ends at `end`.
absl::StatusOr<std::optional<std::vector<GroupFrame>>> TrailerList(const JournalSource& source,
                                                                   uint64_t from, uint64_t end,
                                                                   CommitSequence sequence) {
  VARVE_ASSIGN_OR_RETURN(const std::string block, Read(source, end - kBlock, kBlock));
  const auto tail = DecodeCommitTail(block, source.header.generation);
  if (!tail.ok() || tail->sequence != sequence) return std::nullopt;
  // A list of many groups begins in an earlier block.
  const uint64_t length = std::min<uint64_t>(end - from, CommitBytes(tail->groups, 0, 0));
  VARVE_ASSIGN_OR_RETURN(const std::string bytes, Read(source, end - length, length));
  return ReadTrailerList(bytes, *tail);
}

// Without a header: the commit ends where its trailer is, or where the next one begins.
absl::StatusOr<std::optional<LostCommit>> FindLostBehind(const JournalSource& source,
                                                         uint64_t position,
                                                         CommitSequence sequence) {
  for (uint64_t at = position + kBlock; at <= source.size; at += kBlock) {
    VARVE_ASSIGN_OR_RETURN(auto list, TrailerList(source, position, at, sequence));
    if (!list) {
      VARVE_ASSIGN_OR_RETURN(list, PrecedingList(source, at, sequence + 1));
    }
    if (list) return std::optional(LostCommit{*std::move(list), at});
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::optional<LostCommit>> FindLost(const JournalSource& source, uint64_t position,
                                                   const std::optional<CommitHeader>& header,
                                                   CommitSequence sequence) {
  if (!header) return FindLostBehind(source, position, sequence);
  if (header->bytes > source.size - position) return std::nullopt;
  LostCommit lost{{}, position + header->bytes};
  VARVE_ASSIGN_OR_RETURN(const std::string bytes, Read(source, position, header->header_bytes));
  if (auto lists = ReadHeaderLists(bytes, *header)) {
    lost.groups = std::move(lists->groups);
    return std::optional(std::move(lost));
  }
  VARVE_ASSIGN_OR_RETURN(auto list, TrailerList(source, position, lost.resume, sequence));
  if (!list) {
    VARVE_ASSIGN_OR_RETURN(list, PrecedingList(source, lost.resume, sequence + 1));
  }
  if (!list) return std::nullopt;
  lost.groups = *std::move(list);
  return std::optional(std::move(lost));
}

absl::StatusOr<std::optional<uint64_t>> FindNewerCommit(const JournalSource& source,
                                                        Generation above) {
  std::optional<uint64_t> found;
  VARVE_RETURN_IF_ERROR(
      ForEachBlock(source, kFileHeaderBytes, [&](uint64_t at, std::string_view block) {
        Generation generation;
        if (IsCommitOfAnyGeneration(block, &generation) && generation > above) found = at;
        return !found;
      }));
  return found;
}

absl::Status JournalDamage(const JournalSource& source, uint64_t position, CommitSequence sequence,
                           std::string_view what) {
  return MakeError(Reason::DATA_LOSS, "journal file ", source.path, ", position ", position,
                   ", commit ", sequence, ": ", what);
}

}  // namespace varve::storage
