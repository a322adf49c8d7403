// Walks over segments and indexes.
#include <algorithm>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "common/record_batch.h"
#include "storage/inspect_files.h"

namespace varve::storage {
namespace {

constexpr size_t kIndexRowBytes = 48;
constexpr uint64_t kFirstFrame = kFileHeaderBytes;

// What the frames so far imply for the next one, and for index rows.
struct LogSoFar {
  std::optional<EntryHeader> last;
  WallTime max_append_time{-1};
  WallTime max_timestamp{-1};
};

// Whether `header` continues the log; the text says why not.
std::string WhyNotNext(const LogSoFar& log, const EntryHeader& header, GroupId group,
                       std::string_view payload, const InspectedSegment& segment) {
  if (header.group != group) return StrCat("frame of group ", header.group);
  if (!log.last) {
    if (header.kind != EntryKind::kMeta || !IsSegmentStart(payload))
      return "the first entry is no segment start";
    if (header.first_index != segment.first_index || header.base_offset != segment.base_offset)
      return StrCat("the first entry is index ", header.first_index, " at offset ",
                    header.base_offset, ", the file header says ", segment.first_index, " at ",
                    segment.base_offset);
    return "";
  }
  if (header.first_index != log.last->last_index + 1)
    return StrCat("index ", header.first_index, " follows ", log.last->last_index);
  if (header.base_offset != log.last->next_offset())
    return StrCat("offset ", header.base_offset, " where ", log.last->next_offset(), " comes next");
  if (header.term < log.last->term)
    return StrCat("term ", header.term, " follows ", log.last->term);
  if (header.append_time < log.last->append_time)
    return StrCat("append time ", header.append_time, " follows ", log.last->append_time);
  return "";
}

class SegmentWalk {
 public:
  SegmentWalk(FileWindow& file, GroupId group, const InspectOptions& options,
              const std::vector<InspectedIndexRow>& rows, InspectedSegment* out,
              InspectedIndex* index)
      : file_(file), group_(group), options_(options), rows_(rows), out_(out), index_(index) {}

  void Run() {
    out_->end_position = kFirstFrame;
    while (out_->end_position < file_.size()) {
      if (const absl::Status status = Step(); !status.ok()) {
        // Zeros to the end are room that was reserved and not yet used.
        if (file_.FindNonZero(out_->end_position).value_or(0) != file_.size())
          Blame(&out_->finding, Verdict::kTorn, out_->end_position, MessageOf(status));
        break;
      }
    }
    out_->last = log_.last;
    if (next_row_ < rows_.size())
      BlameRow(Verdict::kTorn, StrCat("row for position ", rows_[next_row_].position,
                                      ", beyond the last valid frame"));
  }

 private:
  absl::Status Step() {
    const uint64_t at = out_->end_position;
    VARVE_ASSIGN_OR_RETURN(const std::string_view head,
                           file_.Read(at, kEntryHeaderBytes + kBatchHeaderBytes));
    VARVE_ASSIGN_OR_RETURN(EntryHeader header, DecodeEntryHeader(head));
    if (header.frame_bytes() > file_.size() - at)
      return absl::DataLossError(ToAbsl(StrCat("a frame of ", header.frame_bytes(),
                                               " bytes is longer than the rest of the file")));
    // A segment start is read in full even without verification: what begins the log must be known.
    std::string_view frame = head.substr(0, std::min<uint64_t>(head.size(), header.frame_bytes()));
    if (options_.verify || !log_.last) {
      VARVE_ASSIGN_OR_RETURN(frame, file_.Read(at, header.frame_bytes()));
    }
    if (options_.verify) VARVE_RETURN_IF_ERROR(VerifyEntryFrame(frame).status());
    const std::string_view payload = frame.substr(kEntryHeaderBytes);
    const std::string why = WhyNotNext(log_, header, group_, payload, *out_);
    if (!why.empty()) return absl::DataLossError(ToAbsl(why));
    CompareRow(at, header);
    Accept(header, payload);
    if (options_.verify && options_.on_entry) options_.on_entry({header, Crc32c(payload)});
    return absl::OkStatus();
  }

  void Accept(const EntryHeader& header, std::string_view payload) {
    if (!log_.last) out_->first = header;
    log_.last = header;
    log_.max_append_time = std::max(log_.max_append_time, header.append_time);
    if (header.kind == EntryKind::kData && payload.size() >= kBatchHeaderBytes) {
      // The header alone may be here; its fields do not need the records.
      std::string batch_head(payload.substr(0, kBatchHeaderBytes));
      StoreBig<int32_t>(batch_head.data() + 8, kBatchHeaderBytes - kBatchPrefixBytes);
      if (const auto batch = RecordBatchView::Parse(batch_head); batch.ok())
        log_.max_timestamp = std::max(log_.max_timestamp, batch->max_timestamp());
    }
    ++out_->frames;
    out_->end_position += header.frame_bytes();
  }

  void CompareRow(uint64_t at, const EntryHeader& header) {
    if (next_row_ >= rows_.size() || rows_[next_row_].position > at) return;
    const InspectedIndexRow& row = rows_[next_row_];
    if (row.position < at) {
      BlameRow(Verdict::kCorrupt,
               StrCat("row for position ", row.position, ", where no frame begins"));
    } else if (row.first_index != header.first_index || row.base_offset != header.base_offset) {
      BlameRow(Verdict::kCorrupt, StrCat("row says index ", row.first_index, " and offset ",
                                         row.base_offset, " at position ", at, ", the frame there ",
                                         header.first_index, " and ", header.base_offset));
    } else if (row.max_append_time < log_.max_append_time ||
               row.max_timestamp < log_.max_timestamp) {
      BlameRow(Verdict::kCorrupt, StrCat("the row for position ", at,
                                         " has earlier times than the entries before it"));
    }
    ++next_row_;
  }

  void BlameRow(Verdict verdict, std::string_view reason) {
    Blame(&index_->finding, verdict, kFirstFrame + next_row_ * kIndexRowBytes, reason);
    index_->finding.recovery = "drops the rows from there on; they are hints";
  }

  FileWindow& file_;
  const GroupId group_;
  const InspectOptions& options_;
  const std::vector<InspectedIndexRow>& rows_;
  InspectedSegment* const out_;
  InspectedIndex* const index_;
  LogSoFar log_;
  size_t next_row_ = 0;
};

std::optional<InspectedIndexRow> DecodeIndexRow(FileNumber number, std::string_view bytes) {
  std::string salt(8, '\0');
  StoreLittle<uint64_t>(salt.data(), number.value());
  ByteReader reader(bytes);
  InspectedIndexRow row;
  row.first_index = Index(reader.Get<uint64_t>());
  row.base_offset = Offset(reader.Get<int64_t>());
  row.position = reader.Get<uint64_t>();
  row.max_append_time = WallTime(reader.Get<int64_t>());
  row.max_timestamp = WallTime(reader.Get<int64_t>());
  const uint32_t crc = reader.Get<uint32_t>();
  if (!reader.ok() || crc != ExtendCrc32c(Crc32c(salt), bytes.substr(0, 40))) return std::nullopt;
  return row;
}

// How far the journal vouches for the file being durable.
uint64_t SyncedPosition(const ReplicaRecord& record, const SegmentRef& ref) {
  const auto synced =
      std::find_if(record.segments.begin(), record.segments.end(),
                   [&](const SegmentRef& s) { return s.file == record.sync_point.file; });
  if (synced == record.segments.end() || synced->first_index < ref.first_index) return 0;
  return synced->file == ref.file ? record.sync_point.position : ref.end_position;
}

// The part that was never durable ends early: fine if the journal has what is missing.
void JudgeUnsynced(const ReplicaRecord& record, const SegmentRef& ref, const RedoCoverage& redo,
                   InspectedSegment* segment) {
  const bool complete = ref.end_position != 0 ? segment->end_position >= ref.end_position
                                              : segment->last && segment->last->last_index >=
                                                                     record.scalars.end.last_index;
  FileFinding& finding = segment->finding;
  if (complete) {
    if (segment->active && segment->last->last_index > record.scalars.end.last_index &&
        finding.reason.empty()) {
      Blame(&finding, Verdict::kTorn, segment->synced_position,
            StrCat("holds entries up to index ", segment->last->last_index, ", the log ends at ",
                   record.scalars.end.last_index));
    }
    if (finding.verdict != Verdict::kOk) finding.recovery = "cuts the file at the end of the log";
    return;
  }
  const uint64_t from = std::max(segment->synced_position, kFirstFrame);
  const uint64_t redone = redo.CoveredFrom(ref.file, segment->end_position);
  if (redone > segment->end_position || redo.CoveredFrom(ref.file, from) > segment->end_position) {
    if (finding.reason.empty()) finding.reason = "ends before the log does";
    finding.verdict = Verdict::kTorn;
    finding.position = segment->end_position;
    finding.recovery = "writes the missing bytes again from the journal";
    return;
  }
  finding.verdict = Verdict::kOk;  // so that the damage is told
  Blame(&finding, Verdict::kCorrupt, segment->end_position,
        finding.reason.empty() ? "the file ends before the log does and the journal has no copy"
                               : StrCat(finding.reason, "; the journal has no copy"));
}

}  // namespace

void JudgeSegment(const ReplicaRecord* record, const RedoCoverage& redo,
                  InspectedSegment* segment) {
  FileFinding& finding = segment->finding;
  const SegmentRef* ref = nullptr;
  if (record != nullptr) {
    for (const SegmentRef& each : record->segments)
      if (each.file == segment->number) ref = &each;
  }
  if (ref == nullptr) {
    finding.verdict = Verdict::kUnreferenced;
    if (finding.reason.empty()) finding.reason = "in no segment set";
    finding.recovery = "moves the file to the trash";
    return;
  }
  segment->active = ref->end_position == 0;
  segment->synced_position = SyncedPosition(*record, *ref);
  if (ref->first_index != segment->first_index || ref->base_offset != segment->base_offset) {
    Blame(&finding, Verdict::kCorrupt, 0, "its header does not agree with the segment set");
  } else if (segment->end_position < segment->synced_position) {
    const std::string reason =
        finding.reason.empty() ? "the file is shorter than what was synced" : finding.reason;
    Blame(&finding, Verdict::kCorrupt, segment->end_position, reason);
  } else if (!IsDamage(finding.verdict)) {
    JudgeUnsynced(*record, *ref, redo, segment);
  }
}

std::vector<InspectedIndexRow> WalkIndex(FileWindow& file, FileNumber number, InspectedIndex* out) {
  std::vector<InspectedIndexRow> rows;
  for (uint64_t at = kFirstFrame; at < file.size(); at += kIndexRowBytes) {
    const absl::StatusOr<std::string_view> bytes = file.Read(at, kIndexRowBytes);
    if (!bytes.ok()) {
      Blame(&out->finding, Verdict::kCorrupt, at, MessageOf(bytes.status()));
      break;
    }
    const std::optional<InspectedIndexRow> row = DecodeIndexRow(number, *bytes);
    if (!row) {
      const bool unwritten = bytes->find_first_not_of('\0') == std::string_view::npos;
      if (bytes->size() < kIndexRowBytes || unwritten) {
        Blame(&out->finding, Verdict::kTorn, at, "ends in an unwritten row");
      } else {
        Blame(&out->finding, Verdict::kCorrupt, at, "checksum of a row does not match");
      }
    } else if (!rows.empty() && row->position <= rows.back().position) {
      Blame(&out->finding, Verdict::kCorrupt, at, "rows are out of order");
    } else {
      rows.push_back(*row);
      continue;
    }
    out->finding.recovery = "drops the rows from there on; they are hints";
    break;
  }
  out->rows = rows.size();
  return rows;
}

void WalkSegment(FileWindow& file, GroupId group, const InspectOptions& options,
                 const std::vector<InspectedIndexRow>& rows, InspectedSegment* out,
                 InspectedIndex* index) {
  SegmentWalk(file, group, options, rows, out, index).Run();
}

std::vector<InspectedIndexRow> InspectIndex(FileSystem& files, const std::string& directory,
                                            const DirectoryIdentity* identity, GroupId group,
                                            InspectedIndex* out) {
  absl::StatusOr<FileWindow> file = FileWindow::Open(files, JoinPath(directory, out->finding.path));
  if (!file.ok()) {
    Blame(&out->finding, Verdict::kCorrupt, 0, MessageOf(file.status()));
    return {};
  }
  const auto header = CheckHeader(*file, FileKind::kIndex, identity, &out->finding);
  if (header && header->group != group)
    Blame(&out->finding, Verdict::kCorrupt, 0, StrCat("header of group ", header->group));
  if (!header || out->finding.verdict != Verdict::kOk) {
    out->finding.recovery = "builds the index again";
    return {};
  }
  out->number = header->file;
  return WalkIndex(*file, header->file, out);
}

void InspectSegment(FileSystem& files, const std::string& directory,
                    const DirectoryIdentity* identity, GroupId group, const InspectOptions& options,
                    const std::vector<InspectedIndexRow>& rows, InspectedSegment* out,
                    InspectedIndex* index) {
  absl::StatusOr<FileWindow> file = FileWindow::Open(files, JoinPath(directory, out->finding.path));
  if (!file.ok()) return Blame(&out->finding, Verdict::kCorrupt, 0, MessageOf(file.status()));
  const auto header = CheckHeader(*file, FileKind::kSegment, identity, &out->finding);
  if (!header) return;
  out->base_offset = header->base_offset;
  out->first_index = header->first_index;
  if (header->group != group)
    return Blame(&out->finding, Verdict::kCorrupt, 0, StrCat("header of group ", header->group));
  if (header->file != out->number ||
      !out->finding.path.ends_with(InspectedSegmentName(header->base_offset, header->file)))
    return Blame(&out->finding, Verdict::kCorrupt, 0, "the name does not agree with the header");
  WalkSegment(*file, group, options, rows, out, index);
}

}  // namespace varve::storage
