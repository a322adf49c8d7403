#include "common/file_system.h"

#include <cerrno>
#include <string>
#include <system_error>

#include "common/error.h"
#include "common/file_error.h"

namespace varve {

absl::Status FileError(std::string_view call, std::string_view path, int error) {
  const std::string text = StrCat(call, " \"", path, "\": ", std::generic_category().message(error),
                                  " (errno ", error, ")");
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return MakeError(Reason::NO_SPACE, text);
    case EIO:
      return MakeError(Reason::DISK_FAILED, text);
    default:
      return absl::Status(absl::ErrnoToStatusCode(error), text);
  }
}

absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, const std::string& path,
                                          size_t limit) {
  VARVE_ASSIGN_OR_RETURN(const auto file, files.Open(path, OpenMode::kRead));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size > limit) {
    return absl::ResourceExhaustedError(
        StrCat("read \"", path, "\": the file has ", size, " bytes, at most ", limit, " expected"));
  }
  std::string bytes(size, '\0');
  VARVE_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, bytes.size(), bytes.data()));
  bytes.resize(got);
  return bytes;
}

absl::Status ReplaceFile(FileSystem& files, const std::string& path, std::string_view bytes) {
  const std::string fresh = StrCat(path, ".new");
  // A crash may have left one behind.
  if (const absl::Status removed = files.RemoveFile(fresh);
      !removed.ok() && !absl::IsNotFound(removed)) {
    return removed;
  }
  {
    VARVE_ASSIGN_OR_RETURN(const auto file, files.Open(fresh, OpenMode::kCreate));
    VARVE_RETURN_IF_ERROR(file->WriteAt(0, bytes));
    VARVE_RETURN_IF_ERROR(file->SyncData());
  }
  VARVE_RETURN_IF_ERROR(files.Rename(fresh, path));
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return files.SyncDirectory(".");
  return files.SyncDirectory(slash == 0 ? "/" : path.substr(0, slash));
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return StrCat(directory, directory.back() == '/' ? "" : "/", name);
}

}  // namespace varve
