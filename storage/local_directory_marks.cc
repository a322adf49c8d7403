// What a directory knows of its peers, and says of itself.
#include <algorithm>
#include <utility>

#include "storage/local_directory.h"

namespace varve::storage {

PeerMark DataDirectory::MarkOf(NodeId node, const DirectoryId& directory) const {
  for (const KnownPeer& known : peer_marks())
    if (known.mark.node == node && known.mark.directory == directory) return known.mark;
  return {};
}

NodeMarks LocalDirectory::own_marks() const {
  PeerMark now = recovered_;
  now.process_epoch = journal_->process_epoch();
  now.incarnation = incarnation_;
  now.durable = journal_->durable_frames();
  return {now, recovered_, journal_->settled_epoch()};
}

MarkFinding LocalDirectory::NotePeer(const NodeMarks& said) {
  const std::lock_guard lock(marks_mutex_);
  MarkFinding finding;
  const PeerMark held = MarkOf(said.now.node, said.now.directory);
  if (held.complete()) finding = JudgePeer(said, held);
  if (!finding.suspect()) journal_->NotePeer(said.now);
  return finding;
}

void LocalDirectory::MarkAllSuspect(std::string why, const PeerMark& evidence,
                                    PartitionLog::Done done) {
  for (const auto& replica : Replicas()) {
    const std::lock_guard lock(replica->mutex);
    if (replica->suspicion.ok()) replica->suspicion = SuspicionOf(replica->group, why);
  }
  uint64_t settled = 0;
  if (evidence.process_epoch != 0)
    settled = std::max(evidence.process_epoch, journal_->process_epoch());
  journal_->MarkAllSuspect(std::move(why), settled, std::move(done));
}

}  // namespace varve::storage
