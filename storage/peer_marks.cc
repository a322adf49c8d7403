#include "storage/peer_marks.h"

#include <algorithm>
#include <utility>

namespace varve::storage {

bool PeerMarks::Note(const PeerMark& mark) {
  if (!mark.complete()) return false;
  const auto first = std::partition_point(marks_.begin(), marks_.end(),
                                          [&](const PeerMark& m) { return m.node < mark.node; });
  const auto last = std::partition_point(first, marks_.end(),
                                         [&](const PeerMark& m) { return m.node == mark.node; });
  const auto at =
      std::find_if(first, last, [&](const PeerMark& m) { return m.directory == mark.directory; });
  if (at == last) {
    if (static_cast<size_t>(last - first) == kMaxPerNode) {
      std::rotate(first, first + 1, last);
      *(last - 1) = mark;
      return true;
    }
    if (marks_.size() == kMaxMarks) return false;
    marks_.insert(last, mark);
    return true;
  }
  PeerMark next = *at;
  if (mark.process_epoch > at->process_epoch) {
    next = mark;
  } else if (mark.process_epoch == at->process_epoch) {
    const bool known = at->incarnation != 0 && mark.incarnation != 0;
    if (known && at->incarnation != mark.incarnation) return false;
    next.incarnation = std::max(at->incarnation, mark.incarnation);
    next.durable = std::max(at->durable, mark.durable);
  }
  return std::exchange(*at, next) != next;
}

const PeerMark* PeerMarks::Find(NodeId node, const DirectoryId& directory) const {
  const auto at = std::find_if(marks_.begin(), marks_.end(), [&](const PeerMark& m) {
    return m.node == node && m.directory == directory;
  });
  return at == marks_.end() ? nullptr : &*at;
}

}  // namespace varve::storage
