#include "common/sim/faulty_file.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "common/check.h"
#include "common/error.h"
#include "common/file_error.h"

namespace varve {
namespace {

using Kind = FileFault::Kind;

void FlipOneBit(uint64_t drawn, char* bytes, size_t length) {
  if (length == 0) return;
  const uint64_t bit = drawn % (length * 8);
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
}

std::string Joined(std::span<const std::string_view> pieces) {
  std::string bytes;
  for (const std::string_view piece : pieces) bytes.append(piece);
  return bytes;
}

// What of `pieces` lies within the first `length` bytes.
std::vector<std::string_view> Prefix(std::span<const std::string_view> pieces, uint64_t length) {
  std::vector<std::string_view> prefix;
  prefix.reserve(pieces.size());
  for (const std::string_view piece : pieces) {
    prefix.push_back(piece.substr(0, length));
    length -= prefix.back().size();
  }
  return prefix;
}

}  // namespace

// --- Writing

absl::Status FaultyFile::WriteAt(uint64_t position, std::span<const std::string_view> pieces) {
  const Verdict verdict = files_.Judge(FileOp::kWrite, path_);
  absl::Status status = verdict.fault ? WriteStruck(verdict, position, Joined(pieces))
                                      : WriteWithin(position, pieces);
  files_.StallIf(verdict.stall, FileOp::kWrite, path_);
  return status;
}

absl::Status FaultyFile::WriteStruck(const Verdict& verdict, uint64_t position, std::string bytes) {
  const FileFault& fault = *verdict.fault;
  const auto write = [&] {
    const std::string_view piece = bytes;
    return WriteWithin(position, std::span(&piece, 1));
  };
  const auto cut = [&] { bytes.resize(bytes.empty() ? 0 : verdict.drawn % bytes.size()); };
  switch (fault.kind) {
    case Kind::kFail:
      return FileError("write", path_, fault.error);
    case Kind::kForget:
    case Kind::kStall:  // never a verdict's fault
      return absl::OkStatus();
    case Kind::kTear:
      cut();
      return write();
    case Kind::kShort:
      cut();
      VARVE_RETURN_IF_ERROR(write());
      return FileError("write", path_, fault.error);
    case Kind::kFlipBit:
      FlipOneBit(verdict.drawn, bytes.data(), bytes.size());
      return write();
    case Kind::kMisdirect:
      if (fault.elsewhere.empty()) {
        position += fault.shift;
        return write();
      }
      if (auto other = files_.below_.Open(fault.elsewhere, OpenMode::kReadWrite); other.ok())
        return (*other)->WriteAt(position, bytes);
      return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status FaultyFile::WriteWithin(uint64_t position, std::span<const std::string_view> pieces) {
  if (!files_.limited()) return below_->WriteAt(position, pieces);
  VARVE_ASSIGN_OR_RETURN(const uint64_t before, below_->Size());
  uint64_t length = 0;
  for (const std::string_view piece : pieces) length += piece.size();
  const uint64_t end = length == 0 ? 0 : position + length;
  const uint64_t growth = end > before ? end - before : 0;
  const uint64_t taken = files_.TakeRoom(growth, false);
  const uint64_t limit = before + taken;
  if (taken < growth) length = limit > position ? limit - position : 0;
  const absl::Status status = below_->WriteAt(position, Prefix(pieces, length));
  // A failed write, or one that begins beyond the room, uses less than it took.
  VARVE_ASSIGN_OR_RETURN(const uint64_t after, below_->Size());
  if (after < limit) files_.GiveRoom(limit - std::max(before, after));
  VARVE_RETURN_IF_ERROR(status);
  return taken < growth ? FileError("write", path_, ENOSPC) : absl::OkStatus();
}

// --- Reading

absl::StatusOr<size_t> FaultyFile::ReadAt(uint64_t position, size_t length, char* out) {
  const Verdict verdict = files_.Judge(FileOp::kRead, path_);
  absl::StatusOr<size_t> got = verdict.fault ? ReadStruck(verdict, position, length, out)
                                             : below_->ReadAt(position, length, out);
  files_.StallIf(verdict.stall, FileOp::kRead, path_);
  return got;
}

absl::StatusOr<size_t> FaultyFile::ReadStruck(const Verdict& verdict, uint64_t position,
                                              size_t length, char* out) {
  const FileFault& fault = *verdict.fault;
  if (fault.kind == Kind::kFail) return FileError("read", path_, fault.error);
  VARVE_ASSIGN_OR_RETURN(const size_t got, below_->ReadAt(position, length, out));
  if (got == 0) return got;
  if (fault.kind == Kind::kShort) return verdict.drawn % got;
  if (fault.kind == Kind::kFlipBit) FlipOneBit(verdict.drawn, out, got);
  if (fault.kind == Kind::kMisdirect)
    VARVE_RETURN_IF_ERROR(ReadElsewhere(fault, position, got, out));
  return got;
}

// As many bytes as there would have been; zeros beyond the end.
absl::Status FaultyFile::ReadElsewhere(const FileFault& fault, uint64_t position, size_t length,
                                       char* out) {
  std::fill_n(out, length, '\0');
  if (fault.elsewhere.empty()) return below_->ReadAt(position + fault.shift, length, out).status();
  const auto other = files_.below_.Open(fault.elsewhere, OpenMode::kRead);
  return other.ok() ? (*other)->ReadAt(position, length, out).status() : absl::OkStatus();
}

// --- The rest

absl::Status FaultyFile::SyncData() {
  return files_.Run(FileOp::kSync, path_, [&] { return below_->SyncData(); });
}

absl::Status FaultyFile::StartWriteBack(uint64_t position, uint64_t length) {
  return files_.Run(FileOp::kStartWriteBack, path_,
                    [&] { return below_->StartWriteBack(position, length); });
}

template <class Change>
absl::Status FaultyFile::Resize(std::string_view call, uint64_t size, Change change) {
  if (!files_.limited()) return change();
  VARVE_ASSIGN_OR_RETURN(const uint64_t before, below_->Size());
  const uint64_t growth = size > before ? size - before : 0;
  if (files_.TakeRoom(growth, true) < growth) return FileError(call, path_, ENOSPC);
  absl::Status status = change();
  VARVE_ASSIGN_OR_RETURN(const uint64_t after, below_->Size());
  files_.GiveRoom(before + growth - std::min(before + growth, after));
  return status;
}

absl::Status FaultyFile::Truncate(uint64_t size) {
  return files_.Run(FileOp::kTruncate, path_, [&] {
    return Resize("truncate", size, [&] { return below_->Truncate(size); });
  });
}

absl::Status FaultyFile::Allocate(uint64_t size, bool zero_fill) {
  return files_.Run(FileOp::kAllocate, path_, [&] {
    return Resize("allocate", size, [&] { return below_->Allocate(size, zero_fill); });
  });
}

}  // namespace varve
