#include "storage/segment.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/record_batch.h"
#include "common/record_batch_layout.h"
#include "storage/defect.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

// Reads so much at once while walking: several frames of usual size.
constexpr size_t kWalkBytes = 256 * limits::kKiB;

}  // namespace

Segment::Segment(const SegmentContext& context, std::string directory, GroupId group,
                 SegmentRef ref)
    : context_(context),
      group_(group),
      ref_(ref),
      path_(JoinPath(directory, SegmentFileName(ref.base_offset, ref.file))),
      index_path_(JoinPath(directory, IndexFileName(ref.base_offset, ref.file))) {}

// --- Index
// ----------------------------------------------------------------------------------------

void Segment::Note(const EntryHeader& entry, WallTime max_record_timestamp, uint64_t position) {
  std::lock_guard lock(mutex_);
  if (rows_.empty() || position >= rows_.back().position + limits::kIndexIntervalBytes) {
    rows_.push_back(
        {entry.first_index, entry.base_offset, position, max_append_time_, max_record_timestamp_});
  }
  max_append_time_ = std::max(max_append_time_, entry.append_time);
  max_record_timestamp_ = std::max(max_record_timestamp_, max_record_timestamp);
}

void Segment::Forget(uint64_t position) {
  std::lock_guard lock(mutex_);
  while (!rows_.empty() && rows_.back().position >= position) rows_.pop_back();
  // The times may stay too large: they only say where not to begin a search. The index file is
  // void from here on, and goes when the file is cut.
  saved_rows_ = 0;
  ++generation_;
}

WallTime Segment::max_append_time() const {
  std::lock_guard lock(mutex_);
  return max_append_time_;
}

WalkStart Segment::Before(Index index) const {
  std::lock_guard lock(mutex_);
  const auto at =
      std::upper_bound(rows_.begin(), rows_.end(), index,
                       [](Index i, const IndexRow& row) { return i < row.first_index; });
  if (at == rows_.begin()) return {kFileHeaderBytes, ref_.first_index};
  return {std::prev(at)->position, std::prev(at)->first_index};
}

WalkStart Segment::Before(Offset offset) const {
  std::lock_guard lock(mutex_);
  const auto at =
      std::upper_bound(rows_.begin(), rows_.end(), offset,
                       [](Offset o, const IndexRow& row) { return o < row.base_offset; });
  if (at == rows_.begin()) return {kFileHeaderBytes, ref_.first_index};
  return {std::prev(at)->position, std::prev(at)->first_index};
}

WalkStart Segment::BeforeTime(WallTime time) const {
  std::lock_guard lock(mutex_);
  const auto at = std::partition_point(
      rows_.begin(), rows_.end(), [&](const IndexRow& row) { return row.max_append_time < time; });
  if (at == rows_.begin()) return {kFileHeaderBytes, ref_.first_index};
  return {std::prev(at)->position, std::prev(at)->first_index};
}

// --- Files
// ----------------------------------------------------------------------------------------

absl::Status Segment::Damaged(uint64_t position, std::string_view what) const {
  return MakeError(Reason::DATA_LOSS, "segment \"", path_, "\" at position ", position, ": ", what);
}

std::string Segment::HeaderBlock(FileKind kind) const {
  FileHeader header;
  header.kind = kind;
  header.identity = context_.identity;
  header.file = ref_.file;
  header.group = group_;
  header.base_offset = ref_.base_offset;
  header.first_index = ref_.first_index;
  return EncodeFileHeader(header);
}

absl::Status Segment::Create() {
  VARVE_ASSIGN_OR_RETURN(std::unique_ptr<File> created,
                         context_.files.Open(path_, OpenMode::kCreate));
  context_.pool->Put(path_, std::move(created));
  return WriteHeader();
}

absl::Status Segment::WriteHeader() {
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  VARVE_RETURN_IF_ERROR(file->WriteAt(0, HeaderBlock(FileKind::kSegment)));
  return Touch();
}

absl::Status Segment::Touch() {
  VARVE_ASSIGN_OR_RETURN(std::shared_ptr<File> file, context_.pool->Get(path_));
  std::lock_guard lock(mutex_);
  unsynced_ = std::move(file);
  return absl::OkStatus();
}

absl::Status Segment::Write(uint64_t position, const std::vector<Entry>& entries) {
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  std::vector<std::string_view> pieces;
  pieces.reserve(entries.size());
  for (const Entry& entry : entries) pieces.push_back(entry.frame.view());
  VARVE_RETURN_IF_ERROR(file->WriteAt(position, pieces));
  std::lock_guard lock(mutex_);
  unsynced_ = file;
  return absl::OkStatus();
}

absl::Status Segment::RemoveIndex() {
  std::lock_guard index_lock(index_mutex_);
  {
    std::lock_guard lock(mutex_);
    saved_rows_ = 0;
    ++generation_;
  }
  absl::Status status = context_.files.RemoveFile(index_path_);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status Segment::Truncate(uint64_t position) {
  if (!Planted(Defect::kStaleIndexKept)) VARVE_RETURN_IF_ERROR(RemoveIndex());
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  VARVE_RETURN_IF_ERROR(file->Truncate(position));
  std::lock_guard lock(mutex_);
  unsynced_ = file;
  return absl::OkStatus();
}

absl::Status Segment::SyncData() {
  std::shared_ptr<File> file;
  {
    std::lock_guard lock(mutex_);
    file = std::exchange(unsynced_, nullptr);
  }
  return file ? file->SyncData() : absl::OkStatus();
}

absl::Status Segment::Remove() {
  VARVE_RETURN_IF_ERROR(RemoveIndex());
  context_.pool->Forget(path_);
  absl::Status status = context_.files.RemoveFile(path_);
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  context_.pool->Forget(path_);  // a reader may have opened it meanwhile
  std::lock_guard lock(mutex_);
  unsynced_.reset();
  return absl::OkStatus();
}

UnsavedRows Segment::TakeUnsavedRows(uint64_t end) const {
  std::lock_guard lock(mutex_);
  UnsavedRows out{generation_, saved_rows_, 0, {}};
  for (size_t i = saved_rows_; i < rows_.size() && rows_[i].position < end; ++i, ++out.count)
    EncodeIndexRow(rows_[i], ref_.file, &out.bytes);
  return out;
}

absl::Status Segment::SaveIndex(const UnsavedRows& rows) {
  if (rows.count == 0) return absl::OkStatus();
  std::lock_guard index_lock(index_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (rows.generation != generation_) return absl::OkStatus();
  }
  auto file = context_.files.Open(index_path_, OpenMode::kReadWrite);
  if (absl::IsNotFound(file.status())) {
    file = context_.files.Open(index_path_, OpenMode::kCreate);
    if (!file.ok()) return file.status();
    VARVE_RETURN_IF_ERROR((*file)->WriteAt(0, HeaderBlock(FileKind::kIndex)));
  }
  VARVE_RETURN_IF_ERROR(file.status());
  VARVE_RETURN_IF_ERROR(
      (*file)->WriteAt(kFileHeaderBytes + rows.begin * kIndexRowBytes, rows.bytes));
  std::lock_guard lock(mutex_);
  if (rows.generation == generation_) saved_rows_ = rows.begin + rows.count;
  return absl::OkStatus();
}

absl::Status Segment::CheckHeader() {
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  std::string block(kFileHeaderBytes, '\0');
  VARVE_ASSIGN_OR_RETURN(const size_t read, file->ReadAt(0, block.size(), block.data()));
  block.resize(read);
  const auto header = DecodeFileHeader(block, FileKind::kSegment);
  if (!header.ok()) return AddContext(header.status(), path_);
  VARVE_RETURN_IF_ERROR(AddContext(CheckBelongs(*header, context_.identity), path_));
  if (header->group != group_ || header->file != ref_.file ||
      header->base_offset != ref_.base_offset || header->first_index != ref_.first_index)
    return Damaged(0, "the header is that of another segment");
  return absl::OkStatus();
}

// Rows that validate, ascend and lie below `end`. Whatever else the file holds is ignored: it is a
// hint.
std::vector<IndexRow> Segment::ReadIndexFile(uint64_t end, IndexSeen* seen) {
  std::vector<IndexRow> rows;
  const auto bytes =
      ReadWholeFile(context_.files, index_path_, kFileHeaderBytes + 64 * limits::kMiB);
  *seen = absl::IsNotFound(bytes.status()) ? IndexSeen::kMissing : IndexSeen::kForeign;
  if (!bytes.ok() || bytes->size() < kFileHeaderBytes ||
      bytes->substr(0, kFileHeaderBytes) != HeaderBlock(FileKind::kIndex))
    return rows;
  const std::string_view all = std::string_view(*bytes).substr(kFileHeaderBytes);
  for (size_t at = 0; at + kIndexRowBytes <= all.size(); at += kIndexRowBytes) {
    const auto row = DecodeIndexRow(all.substr(at, kIndexRowBytes), ref_.file);
    if (!row || row->position >= end || row->position < kFileHeaderBytes) break;
    if (rows.empty()
            ? row->position != kFileHeaderBytes
            : row->position <= rows.back().position || row->first_index <= rows.back().first_index)
      break;
    rows.push_back(*row);
  }
  *seen = all.size() == rows.size() * kIndexRowBytes ? IndexSeen::kIntact : IndexSeen::kStale;
  return rows;
}

absl::Status Segment::Load(uint64_t end, RecoveryTrace* trace) {
  VARVE_RETURN_IF_ERROR(CheckHeader());
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size < end) return Damaged(size, StrCat("the file ends here, and the segment at ", end));
  return LoadFrames(end, nullptr, trace).status();
}

absl::StatusOr<uint64_t> Segment::LoadUpTo(const LogEnd& end, RecoveryTrace* trace) {
  VARVE_RETURN_IF_ERROR(CheckHeader());
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return LoadFrames(size, &end, trace);
}

// Begins the index with the rows of its file, up to the last one that fits its frame.
absl::Status Segment::TakeIndexFile(uint64_t end, const LogEnd* log_end, WalkStart* start,
                                    RecoveryTrace* trace) {
  *start = {kFileHeaderBytes, ref_.first_index};
  IndexObservation seen;
  std::vector<IndexRow> rows = ReadIndexFile(end, &seen.index);
  while (!rows.empty()) {
    const IndexRow& row = rows.back();
    bool fits = false;
    WalkFrom({row.position, row.first_index}, end, true,
             [&](const EntryHeader& header, uint64_t, std::string_view) {
               fits = header.base_offset == row.base_offset;
               return false;
             })
        .IgnoreError();
    if (fits && (log_end == nullptr || row.first_index <= log_end->last_index)) break;
    rows.pop_back();
    seen.index = IndexSeen::kStale;
  }
  const bool intact = Decide(seen, trace).verdict == RecoveryVerdict::kUse;
  // Rows that are left behind would be believed once the log has grown past them.
  if (!intact) VARVE_RETURN_IF_ERROR(RemoveIndex());
  std::lock_guard lock(mutex_);
  saved_rows_ = intact ? rows.size() : 0;
  max_append_time_ = {};
  max_record_timestamp_ = WallTime(-1);
  if (!rows.empty()) {
    *start = {rows.back().position, rows.back().first_index};
    max_append_time_ = rows.back().max_append_time;
    max_record_timestamp_ = rows.back().max_record_timestamp;
    rows.pop_back();  // noted again by the walk
  }
  rows_ = std::move(rows);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Segment::LoadFrames(uint64_t end, const LogEnd* log_end,
                                             RecoveryTrace* trace) {
  WalkStart start;
  VARVE_RETURN_IF_ERROR(TakeIndexFile(end, log_end, &start, trace));
  uint64_t next = start.position;
  LogEnd last;
  const auto visit = [&](const EntryHeader& header, uint64_t position, std::string_view prefix) {
    if (log_end != nullptr && header.first_index > log_end->last_index) return false;
    Note(header, MaxRecordTimestamp(header, prefix), position);
    next = position + header.frame_bytes();
    last = {header.last_index, header.term, header.next_offset(), header.append_time};
    return log_end == nullptr || last.last_index < log_end->last_index;
  };
  VARVE_RETURN_IF_ERROR(WalkFrom(start, end, false, visit));
  if (log_end != nullptr && last.last_index != log_end->last_index)
    return Damaged(next, StrCat("the log's last index ", log_end->last_index,
                                " is missing; the file ends at ", last.last_index));
  if (log_end != nullptr && last != *log_end)
    return Damaged(next,
                   StrCat("the last entry, ", last.last_index, " of term ", last.last_term,
                          ", is not the one that the journal knows, of term ", log_end->last_term));
  if (log_end == nullptr && next != end)
    return Damaged(next, StrCat("the frames end here, and the segment at ", end));
  return next;
}

// --- Walking and reading
// --------------------------------------------------------------------------

WalkStart Segment::BeforePosition(uint64_t position) const {
  std::lock_guard lock(mutex_);
  const auto at = std::partition_point(
      rows_.begin(), rows_.end(), [&](const IndexRow& row) { return row.position < position; });
  if (at == rows_.begin()) return {kFileHeaderBytes, ref_.first_index};
  return {std::prev(at)->position, std::prev(at)->first_index};
}

// A row of the index is a hint: where no frame of its index begins, the walk begins further back.
WallTime MaxRecordTimestamp(const EntryHeader& header, std::string_view frame) {
  if (header.kind != EntryKind::kData || frame.size() < kEntryHeaderBytes + kBatchHeaderBytes)
    return WallTime(-1);
  return WallTime(
      LoadBig<int64_t>(frame.data() + kEntryHeaderBytes + batch_layout::kMaxTimestampAt));
}

absl::Status Segment::Walk(WalkStart start, uint64_t end, bool verify,
                           absl::FunctionRef<bool(const EntryHeader&, uint64_t)> visit) {
  // The index runs ahead of the file: what it knows beyond `end` is only in memory yet.
  if (start.position >= end) start = BeforePosition(end);
  if (start.position >= end) return absl::OkStatus();  // there may be no file yet
  for (;;) {
    bool begun = false;
    absl::Status status = WalkFrom(
        start, end, verify, [&](const EntryHeader& header, uint64_t position, std::string_view) {
          begun = true;
          return visit(header, position);
        });
    if (status.ok() || begun || start.position == kFileHeaderBytes) return status;
    start = BeforePosition(start.position);
  }
}

absl::Status Segment::WalkFrom(WalkStart start, uint64_t end, bool verify, PrefixVisitor visit) {
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  std::string buffer;
  uint64_t buffer_at = start.position;
  const auto fill = [&](uint64_t position, size_t bytes) -> absl::Status {
    if (position >= buffer_at && position + bytes <= buffer_at + buffer.size())
      return absl::OkStatus();
    buffer.resize(
        std::min<uint64_t>(std::max(bytes, verify ? kWalkBytes : size_t{4096}), end - position));
    VARVE_ASSIGN_OR_RETURN(const size_t read, file->ReadAt(position, buffer.size(), buffer.data()));
    buffer.resize(read);
    buffer_at = position;
    if (read < bytes) return Damaged(position, "the file ends within a frame");
    return absl::OkStatus();
  };
  Index expected = start.first_index;
  for (uint64_t position = start.position; position < end;) {
    if (end - position < kEntryHeaderBytes)
      return Damaged(position, "the segment ends within a frame");
    VARVE_RETURN_IF_ERROR(fill(position, kEntryHeaderBytes));
    const auto header = DecodeEntryHeader(std::string_view(buffer).substr(position - buffer_at));
    if (!header.ok()) return Damaged(position, MessageOf(header.status()));
    if (header->group != group_ || header->first_index != expected)
      return Damaged(position, StrCat("index ", header->first_index, " of group ", header->group,
                                      " where ", expected, " is due"));
    if (header->frame_bytes() > end - position)
      return Damaged(position, "the frame passes the segment's end");
    if (verify) {
      VARVE_RETURN_IF_ERROR(fill(position, header->frame_bytes()));
      const auto verified = VerifyEntryFrame(
          std::string_view(buffer).substr(position - buffer_at, header->frame_bytes()));
      if (!verified.ok()) return Damaged(position, MessageOf(verified.status()));
    }
    const size_t prefix_bytes =
        std::min<uint64_t>(header->frame_bytes(), kEntryHeaderBytes + kBatchHeaderBytes);
    VARVE_RETURN_IF_ERROR(fill(position, prefix_bytes));
    if (!visit(*header, position,
               std::string_view(buffer).substr(position - buffer_at, prefix_bytes)))
      return absl::OkStatus();
    position += header->frame_bytes();
    expected = header->last_index + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> Segment::Read(WalkStart start, uint64_t end, Index from,
                                                 Index through, std::optional<Offset> skip_to,
                                                 size_t max_bytes) {
  // Find the first frame by headers alone, then read a run of whole frames into one buffer.
  std::optional<uint64_t> first;
  uint64_t stop = 0;
  Index first_index;
  VARVE_RETURN_IF_ERROR(Walk(start, end, false, [&](const EntryHeader& header, uint64_t position) {
    if (header.first_index > through) return false;
    const bool wanted = header.last_index >= from &&
                        (!skip_to || (!header.zero_width() && header.last_offset >= *skip_to));
    if (!first && !wanted) return true;
    const uint64_t next = position + header.frame_bytes();
    if (first && next - *first > max_bytes) return false;
    if (!first) first = position, first_index = header.first_index;
    stop = next;
    return true;
  }));
  std::vector<Entry> entries;
  if (!first) return entries;
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  const size_t length = stop - *first;
  std::shared_ptr<char[]> bytes = std::make_shared_for_overwrite<char[]>(length);
  VARVE_ASSIGN_OR_RETURN(const size_t read, file->ReadAt(*first, length, bytes.get()));
  if (read < length) return Damaged(*first, "the file ends within a frame");
  const SharedBytes run(bytes, {bytes.get(), length});
  for (size_t at = 0; at < length;) {
    const auto header = DecodeEntryHeader(run.view().substr(at));
    if (!header.ok() || header->frame_bytes() > length - at)
      return Damaged(*first + at, "the frame changed while it was read");
    SharedBytes frame = run.Slice(at, header->frame_bytes());
    const auto verified = Planted(Defect::kEntryChecksumIgnored) ? DecodeEntryHeader(frame.view())
                                                                 : VerifyEntryFrame(frame.view());
    if (!verified.ok()) return Damaged(*first + at, MessageOf(verified.status()));
    at += header->frame_bytes();
    entries.push_back({*verified, std::move(frame)});
  }
  return entries;
}

}  // namespace varve::storage
