#include "storage/format/journal_commit.h"

#include <map>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/defect.h"
#include "storage/format/journal_frame.h"
#include "storage/format/replica_record.h"

namespace varve::storage {
namespace {

constexpr uint32_t kHeaderMagic = 0x544d4356;   // "VCMT"
constexpr uint32_t kTrailerMagic = 0x444e4556;  // "VEND"
constexpr size_t kGroupFrameBytes = 16;
constexpr size_t kGenerationAt = 8;
constexpr size_t kFixedCrcAt = 48;
constexpr size_t kListsCrcAt = 52;
constexpr size_t kTailCoveredFrom = 4;  // behind the list's checksum
constexpr size_t kTailCrcAt = 28;

size_t RoundUp(size_t bytes) {
  return (bytes + limits::kBlockBytes - 1) / limits::kBlockBytes * limits::kBlockBytes;
}

std::string EncodeList(const std::vector<GroupFrame>& groups) {
  std::string bytes;
  ByteWriter out(&bytes);
  for (const GroupFrame& entry : groups) {
    out.Put(entry.group.value());
    out.Put(entry.last.value());
  }
  return bytes;
}

// `count` was compared with what remains.
std::vector<GroupFrame> GetList(uint32_t count, ByteReader* in) {
  std::vector<GroupFrame> list(count);
  for (GroupFrame& entry : list) {
    entry.group = GroupId{in->Get<uint64_t>()};
    entry.last = FrameSequence{in->Get<uint64_t>()};
  }
  return list;
}

uint64_t ListBytes(uint64_t groups) { return groups * kGroupFrameBytes; }
uint64_t TrailerBytes(uint64_t groups) { return ListBytes(groups) + kCommitTailBytes; }

absl::Status NoCommit(std::string_view what) {
  return MakeError(Reason::DATA_LOSS, "no valid commit: ", what);
}

// The list in the trailer and the tail behind it.
absl::Status VerifyTrailer(std::string_view bytes, const CommitHeader& header) {
  VARVE_ASSIGN_OR_RETURN(const CommitTail tail, DecodeCommitTail(bytes, header.generation));
  if (tail.sequence != header.sequence || tail.groups != header.groups) {
    return NoCommit("the trailer belongs to another commit");
  }
  const std::string_view trailer = bytes.substr(bytes.size() - TrailerBytes(header.groups));
  const std::string_view list = trailer.substr(0, ListBytes(header.groups));
  const auto crc = LoadLittle<uint32_t>(trailer.data() + list.size());
  if (crc != ExtendCrc32c(GenerationSeed(header.generation), list)) {
    return NoCommit("the list in the trailer fails its checksum");
  }
  if (list != bytes.substr(kCommitFixedBytes, list.size())) {
    return NoCommit("the lists in header and trailer differ");
  }
  return absl::OkStatus();
}

absl::Status CheckList(const JournalCommit& commit) {
  std::map<GroupId, FrameSequence> last;
  for (const JournalFrame& frame : commit.frames) last[frame.group] = frame.sequence;
  bool same = last.size() == commit.groups.size();
  auto at = last.begin();
  for (size_t i = 0; same && i < commit.groups.size(); ++i, ++at) {
    same = at->first == commit.groups[i].group && at->second == commit.groups[i].last;
  }
  if (same) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "commit ", commit.header.sequence,
                   ": its list of groups is not that of its frames");
}

}  // namespace

size_t CommitBytes(size_t groups, size_t preceding_groups, size_t frame_bytes) {
  return RoundUp(kCommitFixedBytes + ListBytes(groups + preceding_groups) + frame_bytes +
                 TrailerBytes(groups));
}

std::string EncodeCommitHeader(CommitHeader* header, const std::vector<GroupFrame>& groups,
                               const std::vector<GroupFrame>& preceding, size_t frame_bytes) {
  header->groups = static_cast<uint32_t>(groups.size());
  header->preceding_groups = static_cast<uint32_t>(preceding.size());
  const std::string lists = EncodeList(groups) + EncodeList(preceding);
  header->header_bytes = static_cast<uint32_t>(kCommitFixedBytes + lists.size());
  header->bytes = static_cast<uint32_t>(CommitBytes(groups.size(), preceding.size(), frame_bytes));
  const uint32_t seed = GenerationSeed(header->generation);
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(kHeaderMagic);
  out.Put(header->header_bytes);
  out.Put(header->generation.value());
  out.Put(header->sequence.value());
  out.Put(header->durable_through.value());
  out.Put(header->bytes);
  out.Put(header->frames);
  out.Put(header->groups);
  out.Put(header->preceding_groups);
  out.Put(ExtendCrc32c(seed, bytes));
  out.Put(ExtendCrc32c(seed, lists));
  out.PutBytes(lists);
  return bytes;
}

std::string EncodeCommitEnd(const CommitHeader& header, const std::vector<GroupFrame>& groups,
                            size_t frame_bytes) {
  const size_t used = header.header_bytes + frame_bytes + TrailerBytes(groups.size());
  VARVE_CHECK(used <= header.bytes && header.groups == groups.size(), "commit of ", header.bytes,
              " bytes cannot hold ", used);
  const uint32_t seed = GenerationSeed(header.generation);
  const std::string list = EncodeList(groups);
  std::string tail;
  ByteWriter tail_out(&tail);
  tail_out.Put(header.groups);
  tail_out.Put(header.generation.value());
  tail_out.Put(header.sequence.value());
  tail_out.Put(kTrailerMagic);
  std::string bytes(header.bytes - used, '\0');
  ByteWriter out(&bytes);
  out.PutBytes(list);
  out.Put(ExtendCrc32c(seed, list));
  out.PutBytes(tail);
  out.Put(ExtendCrc32c(seed, tail));
  return bytes;
}

absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes, Generation generation) {
  if (bytes.size() < kCommitFixedBytes) return NoCommit("cut within the header");
  ByteReader in(bytes);
  CommitHeader header;
  if (in.Get<uint32_t>() != kHeaderMagic) return NoCommit("no commit begins here");
  header.header_bytes = in.Get<uint32_t>();
  header.generation = Generation{in.Get<uint64_t>()};
  header.sequence = CommitSequence{in.Get<uint64_t>()};
  header.durable_through = CommitSequence{in.Get<uint64_t>()};
  header.bytes = in.Get<uint32_t>();
  header.frames = in.Get<uint32_t>();
  header.groups = in.Get<uint32_t>();
  header.preceding_groups = in.Get<uint32_t>();
  if (header.generation != generation) return NoCommit("its generation is another file's");
  const uint32_t crc = ExtendCrc32c(GenerationSeed(generation), bytes.substr(0, kFixedCrcAt));
  if (crc != in.Get<uint32_t>()) return NoCommit("the header fails its checksum");
  const uint64_t lists = ListBytes(uint64_t{header.groups} + header.preceding_groups);
  if (header.header_bytes != kCommitFixedBytes + lists || header.bytes % limits::kBlockBytes != 0 ||
      header.bytes < header.header_bytes + TrailerBytes(header.groups) ||
      header.durable_through >= header.sequence) {
    return NoCommit("the header contradicts itself");
  }
  return header;
}

absl::StatusOr<CommitTail> DecodeCommitTail(std::string_view block, Generation generation) {
  if (block.size() < kCommitTailBytes) return NoCommit("cut within the trailer");
  const std::string_view bytes = block.substr(block.size() - kCommitTailBytes);
  ByteReader in(bytes);
  CommitTail tail;
  in.Get<uint32_t>();
  tail.groups = in.Get<uint32_t>();
  tail.generation = Generation{in.Get<uint64_t>()};
  tail.sequence = CommitSequence{in.Get<uint64_t>()};
  if (in.Get<uint32_t>() != kTrailerMagic || tail.generation != generation) {
    return NoCommit("no trailer of this generation ends here");
  }
  const std::string_view covered = bytes.substr(kTailCoveredFrom, kTailCrcAt - kTailCoveredFrom);
  if (in.Get<uint32_t>() != ExtendCrc32c(GenerationSeed(generation), covered)) {
    return NoCommit("the trailer fails its checksum");
  }
  return tail;
}

bool IsCommitOfAnyGeneration(std::string_view bytes, Generation* generation) {
  if (bytes.size() < kCommitFixedBytes) return false;
  const Generation claimed{LoadLittle<uint64_t>(bytes.data() + kGenerationAt)};
  if (!DecodeCommitHeader(bytes, claimed).ok()) return false;
  *generation = claimed;
  return true;
}

std::optional<CommitLists> ReadHeaderLists(std::string_view bytes, const CommitHeader& header) {
  if (bytes.size() < header.header_bytes) return std::nullopt;
  const std::string_view lists =
      bytes.substr(kCommitFixedBytes, header.header_bytes - kCommitFixedBytes);
  const auto crc = LoadLittle<uint32_t>(bytes.data() + kListsCrcAt);
  if (crc != ExtendCrc32c(GenerationSeed(header.generation), lists)) return std::nullopt;
  ByteReader in(lists);
  CommitLists out;
  out.groups = GetList(header.groups, &in);
  out.preceding = GetList(header.preceding_groups, &in);
  return out;
}

std::optional<std::vector<GroupFrame>> ReadTrailerList(std::string_view bytes,
                                                       const CommitTail& tail) {
  if (bytes.size() < TrailerBytes(tail.groups)) return std::nullopt;
  const std::string_view trailer = bytes.substr(bytes.size() - TrailerBytes(tail.groups));
  const std::string_view list = trailer.substr(0, ListBytes(tail.groups));
  const auto crc = LoadLittle<uint32_t>(trailer.data() + list.size());
  if (crc != ExtendCrc32c(GenerationSeed(tail.generation), list)) return std::nullopt;
  ByteReader in(list);
  return GetList(tail.groups, &in);
}

absl::Status VerifyCommit(std::string_view bytes, const CommitHeader& header) {
  VARVE_CHECK(bytes.size() == header.bytes, "commit of ", header.bytes, " bytes in ", bytes.size());
  const uint32_t seed = GenerationSeed(header.generation);
  const auto lists_crc = LoadLittle<uint32_t>(bytes.data() + kListsCrcAt);
  const size_t lists_bytes = header.header_bytes - kCommitFixedBytes;
  if (lists_crc != ExtendCrc32c(seed, bytes.substr(kCommitFixedBytes, lists_bytes))) {
    return NoCommit("the lists fail their checksum");
  }
  if (!Planted(Defect::kTrailerIgnored)) VARVE_RETURN_IF_ERROR(VerifyTrailer(bytes, header));
  std::string_view rest = bytes.substr(0, bytes.size() - TrailerBytes(header.groups));
  rest.remove_prefix(header.header_bytes);
  for (uint32_t i = 0; i < header.frames; ++i) {
    VARVE_ASSIGN_OR_RETURN(const size_t frame_bytes, VerifyFrame(rest, seed));
    rest.remove_prefix(frame_bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<JournalCommit> DecodeCommit(const SharedBytes& bytes, const CommitHeader& header) {
  JournalCommit commit;
  commit.header = header;
  ByteReader in(bytes.view().substr(kCommitFixedBytes));
  commit.groups = GetList(header.groups, &in);
  commit.preceding = GetList(header.preceding_groups, &in);
  size_t at = header.header_bytes;
  for (uint32_t i = 0; i < header.frames; ++i) {
    const auto frame_bytes = LoadLittle<uint32_t>(bytes.view().data() + at);
    VARVE_ASSIGN_OR_RETURN(JournalFrame frame, DecodeFrame(bytes.Slice(at, frame_bytes)));
    commit.frames.push_back(std::move(frame));
    at += frame_bytes;
  }
  VARVE_RETURN_IF_ERROR(CheckList(commit));
  return commit;
}

}  // namespace varve::storage
