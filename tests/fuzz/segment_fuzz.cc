// Hostile bytes of a segment and of its index: a valid pair with edits, segments of sealed frames
// that contradict each other, index rows with right checksums that lie, names. The first byte
// chooses. Whatever a segment hands out is whole, in order and of its group, or it is DATA_LOSS.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "common/record_batch_builder.h"
#include "common/sim/sim_file_system.h"
#include "storage/format/file_header.h"
#include "storage/segment.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{70'000};
constexpr SegmentRef kRef{FileNumber{9}, Offset{100}, Index{5}, 0};
constexpr char kDirectory[] = "g";

const DirectoryIdentity& Identity() {
  static const DirectoryIdentity identity = [] {
    DirectoryIdentity out;
    out.cluster.bytes[0] = 1;
    out.directory.bytes[0] = 2;
    out.node = NodeId{1};
    return out;
  }();
  return identity;
}

std::string Header(FileKind kind) {
  FileHeader header;
  header.kind = kind;
  header.identity = Identity();
  header.file = kRef.file;
  header.group = kGroup;
  header.base_offset = kRef.base_offset;
  header.first_index = kRef.first_index;
  return EncodeFileHeader(header);
}

// The bytes of both files, and where the log ends.
struct Files {
  std::string segment = Header(FileKind::kSegment);
  std::string index = Header(FileKind::kIndex);
  LogEnd end;

  void Append(const Entry& entry) {
    segment.append(entry.frame.view());
    end = {entry.header.last_index, entry.header.term, entry.header.next_offset(),
           entry.header.append_time};
  }
};

EntryHeader HeaderAt(Index index, Offset base) {
  EntryHeader header;
  header.kind = EntryKind::kBarrier;
  header.group = kGroup;
  header.first_index = header.last_index = index;
  header.term = Term{2};
  header.base_offset = base;
  header.last_offset = base - 1;
  header.append_time = WallTime{static_cast<int64_t>(index.value())};
  return header;
}

Entry DataAt(Index index, Offset base, size_t value_bytes) {
  RecordBatchBuilder builder;
  VARVE_CHECK(builder.Add(WallTime{5}, "key", std::string(value_bytes, 'v')).ok());
  EntryHeader header = HeaderAt(index, base);
  header.kind = EntryKind::kData;
  header.last_offset = base;
  return FrameBuffer::Copy(*builder.Build()).Seal(header);
}

// A segment start, barriers and data, with a row of the index per 64 KiB.
Files GoodFiles() {
  Files files;
  SegmentStart start;
  start.config.voters = {{NodeId{1}, ReplicaEpoch{1}}};
  EntryHeader header = HeaderAt(kRef.first_index, kRef.base_offset);
  header.kind = EntryKind::kMeta;
  files.Append(FrameBuffer::Copy(EncodeMeta(start)).Seal(header));
  for (int i = 0; i < 12; ++i) {
    const Index index = files.end.last_index + 1;
    const Offset base = files.end.next_offset;
    if (i % 4 == 0)
      EncodeIndexRow({index, base, files.segment.size(), files.end.append_time, WallTime{-1}},
                     kRef.file, &files.index);
    files.Append(i % 5 == 2 ? FrameBuffer::Copy("").Seal(HeaderAt(index, base))
                            : DataAt(index, base, 30));
  }
  return files;
}

void Put(FileSystem& disk, const std::string& name, std::string_view bytes) {
  auto file = disk.Open(JoinPath(kDirectory, name), OpenMode::kCreate);
  VARVE_CHECK(file.ok() && (*file)->WriteAt(0, bytes).ok());
}

// Only damage may be found, and it is named.
void CheckRefusal(const absl::Status& status) {
  if (status.ok()) return;
  const auto reason = ReasonOf(status);
  VARVE_CHECK(reason == Reason::DATA_LOSS || reason == Reason::NEWER_FORMAT ||
                  reason == Reason::FOREIGN_DIRECTORY,
              MessageOf(status));
}

void CheckRead(Segment& segment, WalkStart start, uint64_t end, Index from,
               std::optional<Offset> skip_to) {
  const auto entries = segment.Read(start, end, from, Index{UINT64_MAX}, skip_to, 200);
  if (!entries.ok()) return CheckRefusal(entries.status());
  Index next = from;
  for (const Entry& entry : *entries) {
    const auto verified = VerifyEntryFrame(entry.frame.view());
    VARVE_CHECK(verified.ok() && *verified == entry.header && entry.header.group == kGroup);
    VARVE_CHECK(&entry == &entries->front() || entry.header.first_index == next);
    next = entry.header.last_index + 1;
  }
  if (entries->empty()) return;
  VARVE_CHECK(entries->front().header.last_index >= from);
  if (skip_to) VARVE_CHECK(entries->front().header.last_offset >= *skip_to);
}

// Opens the files as recovery does and reads from every place that their index offers.
void TryFiles(const Files& files) {
  SimFileSystem disk;
  VARVE_CHECK(disk.CreateDirectory(kDirectory).ok());
  Put(disk, SegmentFileName(kRef.base_offset, kRef.file), files.segment);
  Put(disk, IndexFileName(kRef.base_offset, kRef.file), files.index);
  const auto pool = std::make_shared<FilePool>(disk, 4);
  const SegmentContext context{disk, pool, Identity()};
  Segment closed(context, kDirectory, kGroup, kRef);
  CheckRefusal(closed.Load(files.segment.size()));
  Segment active(context, kDirectory, kGroup, kRef);
  const auto end = active.LoadUpTo(files.end);
  if (!end.ok()) return CheckRefusal(end.status());
  VARVE_CHECK(*end <= files.segment.size());
  uint64_t walked = kFileHeaderBytes;
  const WalkStart first{kFileHeaderBytes, kRef.first_index};
  const absl::Status whole =
      active.Walk(first, *end, true, [&](const EntryHeader& header, uint64_t position) {
        VARVE_CHECK(position == walked && header.group == kGroup);
        walked += header.frame_bytes();
        return true;
      });
  CheckRefusal(whole);
  if (whole.ok()) VARVE_CHECK(walked == *end);
  for (uint64_t i = 0; i < 16; ++i) {
    const Index index = kRef.first_index + i;
    CheckRead(active, active.Before(index), *end, index, std::nullopt);
    const Offset offset = kRef.base_offset + static_cast<int64_t>(i);
    CheckRead(active, active.Before(offset), *end, kRef.first_index, offset);
    CheckRead(active, active.BeforeTime(WallTime{static_cast<int64_t>(i)}), *end, index,
              std::nullopt);
  }
}

// Triples of u16 position and byte change the valid files; positions beyond the segment are of the
// index.
void TryEdits(std::string_view edits) {
  static const Files good = GoodFiles();
  Files files = good;
  ByteReader in(edits);
  while (in.remaining() >= 3) {
    size_t at = in.Get<uint16_t>() % (files.segment.size() + files.index.size());
    const auto byte = static_cast<char>(in.Get<uint8_t>());
    if (at < files.segment.size()) {
      files.segment[at] = byte;
    } else {
      files.index[at - files.segment.size()] = byte;
    }
  }
  TryFiles(files);
}

// Frames with right checksums and headers of any kind; rows of the index likewise.
void TryScript(std::string_view script) {
  static const Files good = GoodFiles();
  Files files = good;
  files.segment.resize(kFileHeaderBytes);
  files.index.resize(kFileHeaderBytes);
  files.end = {};
  Index next = kRef.first_index;
  Offset base = kRef.base_offset;
  ByteReader in(script);
  while (in.remaining() >= 4 && files.segment.size() < (1u << 16)) {
    const auto what = in.Get<uint8_t>();
    const auto a = in.Get<uint8_t>();
    const auto b = in.Get<uint8_t>();
    const auto c = in.Get<uint8_t>();
    if (what % 4 == 3) {
      EncodeIndexRow(
          {next + a, base + b, kFileHeaderBytes + uint64_t{c} * 8, WallTime{a}, WallTime{b}},
          kRef.file, &files.index);
      continue;
    }
    const Index index = what & 16 ? next + a : next;
    Entry entry = what % 4 == 2 ? DataAt(index, base + (what & 32 ? b : 0), c)
                                : FrameBuffer::Copy("").Seal(HeaderAt(index, base));
    next = entry.header.last_index + 1;
    base = entry.header.next_offset();
    files.Append(entry);
    if (what & 64) files.segment.resize(files.segment.size() - std::min<size_t>(a, 72));
  }
  TryFiles(files);
}

void TryName(std::string_view name) {
  if (const auto parsed = ParseGroupFileName(name)) {
    const auto written = parsed->kind == GroupFileKind::kSegment
                             ? SegmentFileName(parsed->base_offset, parsed->file)
                             : IndexFileName(parsed->base_offset, parsed->file);
    VARVE_CHECK(written == name, name);
  }
  if (const auto group = ParseGroupDirectoryName(name))
    VARVE_CHECK(GroupDirectoryName(*group) == name, name);
}

void TryHeader(std::string_view input) {
  for (const FileKind kind : {FileKind::kSegment, FileKind::kIndex}) {
    std::string bytes = Header(kind);
    std::copy_n(input.begin(), std::min(input.size(), bytes.size()), bytes.begin());
    StoreLittle(bytes.data() + kFileHeaderBytes - 4,
                Crc32c(std::string_view(bytes).substr(0, kFileHeaderBytes - 4)));
    const auto header = DecodeFileHeader(bytes, kind);
    if (header.ok()) VARVE_CHECK(DecodeFileHeader(EncodeFileHeader(*header), kind).ok());
  }
}

}  // namespace
}  // namespace varve::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace varve::storage;  // the entry point of the fuzzer stands outside
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      TryEdits(input);
      break;
    case 1:
      TryScript(input);
      break;
    case 2:
      TryHeader(input);
      break;
    default:
      TryName(input);
  }
  return 0;
}
