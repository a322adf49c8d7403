// Hostile bytes of any file of a data directory: a whole directory with edits, opened and read as
// a broker does, and the formats that no other fuzzer reaches with right checksums: headers of
// every kind, the journal's mark, replica records, index rows. The first byte chooses. What is
// refused is damage, and named; what is read verifies.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_mark.h"
#include "storage/format/replica_record.h"
#include "storage/index_row.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr GroupId kGroup{100};

void CollectFiles(FileSystem& disk, const std::string& directory,
                  std::map<std::string, std::string>* out) {
  const auto entries = disk.List(directory);
  VARVE_CHECK(entries.ok(), MessageOf(entries.status()));
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(directory, entry.name);
    if (entry.is_directory) {
      CollectFiles(disk, path, out);
    } else if (path != "data/reserve") {  // its bytes mean nothing
      (*out)[path] = *ReadWholeFile(disk, path, kMaxFileBytes);
    }
  }
}

// Two segments with indexes, two journal files, the mark, the identity.
std::map<std::string, std::string> GoodDirectory() {
  DirectoryHost host(1);
  VARVE_CHECK(host.Open().ok() && host.Create(kGroup).ok());
  LogScript script(&host, kGroup);
  script.Begin();
  script.NewTerm();
  for (int i = 0; i < 4; ++i) {
    script.Append(2, 3000);
    if (i == 1) script.Roll();
    host.scheduler.RunFor(kSecond);
  }
  script.Commit(script.image().end().last_index - 2);
  host.scheduler.RunFor(kSecond);
  VARVE_CHECK(script.Settled());
  host.Crash(false);
  std::map<std::string, std::string> files;
  CollectFiles(host.disk, "data", &files);
  VARVE_CHECK(files.size() >= 7);
  return files;
}

void CheckRefusal(const absl::Status& status) {
  if (status.ok()) return;
  const Reason reason = ReasonOf(status);
  VARVE_CHECK(reason == Reason::DATA_LOSS || reason == Reason::REPLICA_SUSPECT ||
                  reason == Reason::NEWER_FORMAT || reason == Reason::FOREIGN_DIRECTORY,
              MessageOf(status));
}

// What the opening says.
absl::Status OpenAndRead(const std::map<std::string, std::string>& files) {
  DirectoryHost host(2);
  for (const char* directory : {"data", "data/journal", "data/groups", "data/trash"})
    VARVE_CHECK(host.disk.CreateDirectory(directory).ok());
  for (const auto& [path, bytes] : files) {
    VARVE_CHECK(host.disk.CreateDirectory(path.substr(0, path.rfind('/'))).ok());
    auto file = host.disk.Open(path, OpenMode::kCreate);
    VARVE_CHECK(file.ok() && (*file)->WriteAt(0, bytes).ok());
  }
  absl::Status opened = host.Open();
  CheckRefusal(opened);
  if (!opened.ok()) return opened;
  for (const auto& [group, log] : host.logs) {
    CheckRefusal(log->suspicion());
    const auto image = host.Image(group);
    CheckRefusal(image.status());
    if (!image.ok()) continue;
    for (const Entry& entry : image->entries) {
      const auto verified = VerifyEntryFrame(entry.frame.view());
      VARVE_CHECK(verified.ok() && *verified == entry.header && entry.header.group == group);
    }
  }
  return absl::OkStatus();
}

// Each edit: u8 file, u8 what, u32 position, u8 byte.
void TryEdits(std::string_view edits) {
  static const std::map<std::string, std::string> good = GoodDirectory();
  std::map<std::string, std::string> files = good;
  ByteReader in(edits);
  while (in.remaining() >= 7 && !files.empty()) {
    const auto at =
        std::next(files.begin(), static_cast<ptrdiff_t>(in.Get<uint8_t>() % files.size()));
    const auto what = in.Get<uint8_t>();
    const auto position = in.Get<uint32_t>();
    const auto byte = static_cast<char>(in.Get<uint8_t>());
    std::string& bytes = at->second;
    if (what == 255) {
      files.erase(at);
    } else if (what == 254) {
      bytes.resize(position % (2 * bytes.size() + 1), byte);
    } else if (!bytes.empty()) {
      const size_t from = position % bytes.size();
      std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(from),
                  std::min<size_t>(bytes.size() - from, size_t{1} + what), byte);
    }
  }
  const absl::Status opened = OpenAndRead(files);
  VARVE_CHECK(opened.ok() || !edits.empty(), MessageOf(opened));
}

// A kind, then the fields of its header.
void TryHeader(std::string_view input) {
  constexpr std::array kKinds = {FileKind::kIdentity, FileKind::kJournal, FileKind::kSegment,
                                 FileKind::kIndex, FileKind::kDerivedState};
  if (input.empty()) return;
  FileHeader plain;
  plain.kind = kKinds[static_cast<uint8_t>(input[0]) % kKinds.size()];
  input.remove_prefix(1);
  std::string bytes = EncodeFileHeader(plain);
  constexpr size_t kFieldsAt = 8;  // behind the magic
  std::copy_n(input.begin(), std::min(input.size(), bytes.size() - kFieldsAt - 4),
              bytes.begin() + kFieldsAt);
  StoreLittle(bytes.data() + bytes.size() - 4,
              Crc32c(std::string_view(bytes).substr(0, bytes.size() - 4)));
  const auto header = DecodeFileHeader(bytes, plain.kind);
  CheckRefusal(header.status());
  if (!header.ok()) return;
  const auto again = DecodeFileHeader(EncodeFileHeader(*header), plain.kind);
  VARVE_CHECK(again.ok() && *again == *header);
  VARVE_CHECK(CheckBelongs(*header, header->identity).ok());
  CheckRefusal(CheckBelongs(*header, DirectoryIdentity()));
}

// Fields of two slots, the first byte saying which have the right checksum.
void TryMark(std::string_view input) {
  constexpr size_t kFields = 32;
  ByteReader in(input);
  const auto right = in.Get<uint8_t>();
  std::string file;
  for (const unsigned slot : {1u, 2u}) {
    std::string bytes = EncodeJournalMark({});
    const std::string_view fields = in.GetBytes(std::min(in.remaining(), kFields - 4));
    std::copy(fields.begin(), fields.end(), bytes.begin() + 4);  // behind the magic
    if ((right & slot) != 0)
      StoreLittle(bytes.data() + kFields, Crc32c(std::string_view(bytes).substr(0, kFields)));
    file += bytes;
  }
  file.resize(file.size() - std::min<size_t>(file.size(), in.remaining() * 512));
  const auto mark = DecodeJournalMark(file);
  if (!mark) return;
  VARVE_CHECK(DecodeJournalMark(EncodeJournalMark(*mark)) == mark);
  VARVE_CHECK(JournalMarkPosition(mark->newest.generation) < kJournalMarkBytes);
}

void TryRecord(std::string_view input) {
  const auto record = DecodeReplicaRecord(input);
  CheckRefusal(record.status());
  if (!record.ok()) return;
  const std::string bytes = EncodeReplicaRecord(*record);
  const auto again = DecodeReplicaRecord(bytes);
  VARVE_CHECK(again.ok() && *again == *record);
  VARVE_CHECK(EncodeReplicaRecord(*again) == bytes);
}

// Rows one after another; those whose first bit is set get the right checksum.
void TryRows(std::string_view input) {
  constexpr FileNumber kFile{9};
  for (; input.size() >= kIndexRowBytes; input.remove_prefix(kIndexRowBytes)) {
    std::string bytes(input.substr(0, kIndexRowBytes));
    if ((bytes[0] & 1) != 0) {
      std::string number;
      ByteWriter(&number).Put<uint64_t>(kFile.value());
      StoreLittle(bytes.data() + 40,
                  ExtendCrc32c(Crc32c(number), std::string_view(bytes).substr(0, 40)));
    }
    const auto row = DecodeIndexRow(bytes, kFile);
    if (!row) continue;
    std::string written;
    EncodeIndexRow(*row, kFile, &written);
    VARVE_CHECK(written.size() == kIndexRowBytes && DecodeIndexRow(written, kFile) == row);
    VARVE_CHECK(!DecodeIndexRow(written, kFile + 1), "a row of another file");
  }
  VARVE_CHECK(input.size() < kIndexRowBytes && !DecodeIndexRow(input, kFile));
}

int TryInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      TryEdits(input);
      break;
    case 1:
      TryHeader(input);
      break;
    case 2:
      TryMark(input);
      break;
    case 3:
      TryRecord(input);
      break;
    default:
      TryRows(input);
  }
  return 0;
}

}  // namespace
}  // namespace varve::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return varve::storage::TryInput(data, size);
}
