// What can be told of a data directory without opening it.
#include "common/error.h"
#include "storage/data_directory.h"
#include "storage/format/file_header.h"
#include "storage/recovery.h"

namespace varve::storage {

absl::StatusOr<DirectoryGlance> GlanceAtDirectory(FileSystem& files, const std::string& path) {
  const DirectoryPaths paths(path);
  DirectoryGlance out;
  const auto block = ReadWholeFile(files, paths.identity, kFileHeaderBytes);
  if (block.ok()) {
    out.empty = false;
    if (const auto header = DecodeFileHeader(*block, FileKind::kIdentity); header.ok())
      out.identity = header->identity;
    return out;
  }
  for (const std::string& directory : {paths.journal, paths.groups}) {
    const auto entries = files.List(directory);
    if (!entries.ok() && !absl::IsNotFound(entries.status())) return entries.status();
    if (entries.ok() && !entries->empty()) out.empty = false;
  }
  if (files.Stat(paths.identity).ok()) out.empty = false;
  return out;
}

}  // namespace varve::storage
