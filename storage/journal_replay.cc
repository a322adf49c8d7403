// ReplayJournal: the frames of the listed files once more, for their bytes. docs/formats.md, "What
// a crash leaves", step 5.
#include <algorithm>

#include "common/error.h"
#include "storage/journal.h"
#include "storage/journal_scan.h"
#include "storage/recovery_table.h"

namespace varve::storage {
namespace {

// The record of a group stands where the newest checkpoint does, or at the first frame that was
// lost behind it.
bool AcrossGap(const JournalContents& contents, CommitSequence commit, GroupId group) {
  return std::any_of(contents.skipped.begin(), contents.skipped.end(), [&](const auto& skipped) {
    if (std::find(skipped.groups.begin(), skipped.groups.end(), group) == skipped.groups.end())
      return false;
    return skipped.in_checkpoint ? commit <= skipped.commit : commit >= skipped.commit;
  });
}

}  // namespace

absl::Status ReplayJournal(FileSystem& files, const std::string& directory,
                           const JournalContents& contents, FrameVisitor visit,
                           RecoveryTrace* trace) {
  std::optional<CommitSequence> expected;
  for (const JournalFileRef& ref : contents.checkpoint.live_files) {
    VARVE_ASSIGN_OR_RETURN(const JournalSource source,
                           OpenJournalSource(files, directory, ref.file));
    VARVE_RETURN_IF_ERROR(source.header_status);
    if (!expected) {
      VARVE_ASSIGN_OR_RETURN(expected, IncludedCommits(source));
      ++*expected;
    }
    CommitReader reader(source);
    while (*expected <= contents.last_commit) {
      VARVE_ASSIGN_OR_RETURN(const auto commit, reader.Next(expected));
      if (!commit) {
        const auto gap =
            std::find_if(contents.skipped.begin(), contents.skipped.end(), [&](const auto& s) {
              return s.file == ref.file && s.commit == *expected && s.resume != 0;
            });
        if (gap == contents.skipped.end()) break;
        reader.SkipTo(gap->resume);
      } else {
        for (const JournalFrame& frame : commit->frames) {
          if (frame.group == kNoGroup) continue;  // no bytes of any file
          if (AcrossGap(contents, *expected, frame.group)) {
            Decide(RedoObservation{.replica = ReplicaSeen::kAcrossGap}, trace);
            continue;
          }
          VARVE_RETURN_IF_ERROR(visit(frame));
        }
      }
      ++*expected;
    }
  }
  const CommitSequence reached =
      expected ? CommitSequence{expected->value() - 1} : contents.checkpoint.last_commit;
  if (reached == contents.last_commit) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "journal ", directory, " now ends with commit ", reached,
                   "; before, it ended with ", contents.last_commit);
}

}  // namespace varve::storage
