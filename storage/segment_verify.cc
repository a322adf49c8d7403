// Segment: how much of a file that is not what it should be can still be believed.
#include <algorithm>

#include "common/error.h"
#include "storage/segment.h"

namespace varve::storage {

absl::StatusOr<SegmentPrefix> Segment::VerifiedPrefix(Index through) {
  SegmentPrefix prefix{kFileHeaderBytes, ref_.first_index - 1};
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(path_));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  absl::Status status = CheckHeader();
  if (status.ok()) {
    status = WalkFrom({kFileHeaderBytes, ref_.first_index}, std::max(size, prefix.end), true,
                      [&](const EntryHeader& header, uint64_t position, std::string_view) {
                        if (header.last_index > through) return false;
                        prefix = {position + header.frame_bytes(), header.last_index};
                        return true;
                      });
  }
  const Reason reason = ReasonOf(status);
  if (!status.ok() && reason != Reason::DATA_LOSS && reason != Reason::FOREIGN_DIRECTORY)
    return status;
  // Whole by itself, and yet not what is vouched for: nothing says where the difference begins.
  if (status.ok() && prefix.last_index == through)
    prefix = {kFileHeaderBytes, ref_.first_index - 1};
  Forget(prefix.end);
  return prefix;
}

}  // namespace varve::storage
