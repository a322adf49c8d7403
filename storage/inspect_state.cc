// A saved state: whose it is, and whether it verifies.
#include "common/error.h"
#include "storage/inspect_files.h"
#include "storage/state_files.h"

namespace varve::storage {

void InspectState(FileSystem& files, const std::string& directory,
                  const DirectoryIdentity* identity, GroupId group, const ReplicaRecord* record,
                  bool verify, InspectedState* out) {
  FileFinding& finding = out->finding;
  const std::string path = JoinPath(directory, finding.path);
  if (record == nullptr || out->name.index > record->scalars.end.last_index ||
      out->name.index + 1 < record->scalars.start.index) {
    Blame(&finding, Verdict::kUnreferenced, 0, "the log has no such entry");
    finding.recovery = "removes the file";
    return;
  }
  if (!verify || identity == nullptr) {
    absl::StatusOr<FileWindow> file = FileWindow::Open(files, path);
    if (!file.ok()) return Blame(&finding, Verdict::kCorrupt, 0, MessageOf(file.status()));
    CheckHeader(*file, FileKind::kDerivedState, identity, &finding);
  } else if (const auto read =
                 ReadStateFile(files, *identity, path, group, out->name, &out->summary);
             !read.ok()) {
    const bool newer = ReasonOf(read.status()) == Reason::NEWER_FORMAT;
    Blame(&finding, newer ? Verdict::kUnknown : Verdict::kCorrupt, 0, MessageOf(read.status()));
  }
  if (finding.verdict == Verdict::kCorrupt)
    finding.recovery = "removes it and goes on from an older one";
}

}  // namespace varve::storage
