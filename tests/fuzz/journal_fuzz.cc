// Hostile bytes of a journal file: every decoder alone, with checksums made right where only they
// would stand in the way, and a whole journal with edits. The first byte chooses.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "storage/format/checkpoint.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_commit.h"
#include "storage/format/journal_frame.h"
#include "storage/format/journal_mark.h"
#include "storage/format/replica_record.h"
#include "storage/journal.h"

namespace varve::storage {
namespace {

constexpr Generation kGeneration{1};

// What was read can be written, and reads the same again; the table takes or refuses it.
void TryFrame(std::string bytes) {
  if (bytes.size() >= sizeof(uint32_t)) {
    StoreLittle(bytes.data(), static_cast<uint32_t>(bytes.size()));
  }
  const auto frame = DecodeFrame(SharedBytes::Take(std::move(bytes)));
  if (!frame.ok()) return;
  FrameImage image = FrameImage::Of(*frame);
  image.Seal(GenerationSeed(kGeneration));
  std::vector<std::string_view> pieces;
  image.AppendPieces(&pieces);
  std::string written;
  for (const std::string_view piece : pieces) written.append(piece);
  const auto length = VerifyFrame(written, GenerationSeed(kGeneration));
  VARVE_CHECK(length.ok() && *length == written.size());
  const auto again = DecodeFrame(SharedBytes::Take(written));
  VARVE_CHECK(again.ok(), MessageOf(again.status()));
  VARVE_CHECK(again->scalars == frame->scalars && again->steps.size() == frame->steps.size());
  ReplicaTable table;
  table.Apply(*frame).IgnoreError();
}

void TryCommit(std::string_view input) {
  std::string bytes(input);
  bytes.resize((bytes.size() / 4096 + 1) * 4096);
  StoreLittle(bytes.data() + 8, kGeneration.value());
  const uint32_t seed = GenerationSeed(kGeneration);
  StoreLittle(bytes.data() + 48, ExtendCrc32c(seed, std::string_view(bytes).substr(0, 48)));
  const auto header = DecodeCommitHeader(bytes, kGeneration);
  DecodeCommitTail(bytes, kGeneration).status().IgnoreError();
  if (!header.ok() || header->bytes > bytes.size()) return;
  bytes.resize(header->bytes);
  if (!VerifyCommit(bytes, *header).ok()) return;
  DecodeCommit(SharedBytes::Take(bytes), *header).status().IgnoreError();
}

// `body` as a checkpoint whose checksums are right.
void TryCheckpoint(uint32_t version, std::string_view body) {
  const uint32_t seed = GenerationSeed(kGeneration);
  const auto fixed = [&](uint32_t magic) {
    std::string bytes;
    ByteWriter out(&bytes);
    out.Put(magic);
    out.Put(version);
    out.Put(kGeneration.value());
    out.Put(uint64_t{body.size()});
    out.Put(ExtendCrc32c(seed, body));
    out.Put(ExtendCrc32c(seed, bytes));
    return bytes;
  };
  std::string bytes = fixed(0x504b4356);
  ByteWriter out(&bytes);
  out.PutBytes(body);
  out.PadTo(4096);
  out.PutBytes(fixed(0x454b4356));
  out.PadTo(4096);
  const auto checkpoint = DecodeCheckpoint(bytes, kGeneration);
  if (!checkpoint.ok()) return;
  const std::string written = EncodeCheckpoint(*checkpoint, kGeneration);
  VARVE_CHECK(DecodeCheckpoint(written, kGeneration).ok());
}

std::string SmallJournal(const DirectoryIdentity& identity) {
  SimScheduler scheduler(1);
  SimFileSystem disk(&scheduler);
  VARVE_CHECK(disk.CreateDirectory("j").ok());
  const auto executor = scheduler.NewExecutor("journal");
  auto journal =
      Journal::Begin(disk, "j", identity, {.file_bytes = 1}, {}, *executor, scheduler.clock());
  VARVE_CHECK(journal.ok());
  JournalFrame frame;
  frame.group = GroupId{7};
  frame.sequence = FrameSequence{1};
  frame.steps = {CreateReplicaStep{}};
  for (int i = 0; i < 3; ++i) {
    (*journal)->Submit(frame, false, [](const absl::Status&) {});
    scheduler.RunUntilIdle();
    ++frame.sequence;
    ++frame.scalars.hard_state.term;
    frame.steps.clear();
  }
  return *ReadWholeFile(disk, "j/00000000000000000001.jnl", 1 << 20);
}

// Pairs of u16 position and byte change a valid journal.
void TryJournal(std::string_view edits) {
  static const DirectoryIdentity identity = [] {
    DirectoryIdentity out;
    out.node = NodeId{1};
    return out;
  }();
  static const std::string good = SmallJournal(identity);
  std::string bytes = good;
  ByteReader in(edits);
  while (in.remaining() >= 3) {
    const auto at = in.Get<uint16_t>();
    bytes[at % bytes.size()] = static_cast<char>(in.Get<uint8_t>());
  }
  SimFileSystem disk;
  VARVE_CHECK(disk.CreateDirectory("j").ok());
  auto file = disk.Open("j/00000000000000000001.jnl", OpenMode::kCreate);
  VARVE_CHECK(file.ok() && (*file)->WriteAt(0, bytes).ok());
  const auto contents = ReadJournal(disk, "j", identity);
  if (!contents.ok()) return;
  const absl::Status replayed =
      ReplayJournal(disk, "j", *contents, [](const JournalFrame&) { return absl::OkStatus(); });
  VARVE_CHECK(replayed.ok(), MessageOf(replayed));
}

int TryInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      TryFrame(std::string(input));
      break;
    case 1:
      TryCommit(input);
      break;
    case 2:
      TryCheckpoint(1 + data[0] / 6 % 2, input);
      break;
    case 3:
      DecodeReplicaRecord(input).status().IgnoreError();
      break;
    case 4:
      DecodeFileHeader(input, FileKind::kJournal).status().IgnoreError();
      // The mark's block has no room of its own in the choice: kept inputs keep their meaning.
      if (const auto mark = DecodeJournalMark(input)) {
        const std::string again = EncodeJournalMark(*mark);
        VARVE_CHECK(DecodeJournalMark(again) == mark);
      }
      break;
    default:
      TryJournal(input);
  }
  return 0;
}

}  // namespace
}  // namespace varve::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return varve::storage::TryInput(data, size);
}
