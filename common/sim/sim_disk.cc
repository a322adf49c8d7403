#include "common/sim/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/check.h"
#include "common/file_error.h"
#include "common/sim/trace_hash.h"

namespace varve {

absl::Status SimDisk::Admit(std::string_view call, std::string_view path, bool mutates) {
  if (closed_ || dead()) return FileError(call, path, EIO);
  if (mutates) ++ops_;
  return absl::OkStatus();
}

const SimFault* SimDisk::Struck(SimFault::Kind kind, std::string_view path) {
  for (SimFault& fault : faults_) {
    if (fault.kind != kind || fault.count == 0 || !path.starts_with(fault.path_prefix)) continue;
    if (fault.skip > 0) {
      --fault.skip;
      continue;
    }
    if (!random_->OneIn(fault.one_in)) continue;
    --fault.count;
    return &fault;
  }
  return nullptr;
}

void SimDisk::StallIfStruck(std::string_view path) {
  if (scheduler_ == nullptr) return;
  const SimFault* fault = Struck(SimFault::Kind::kStall, path);
  if (fault != nullptr) scheduler_->Stall(fault->stall);
}

absl::Status SimDisk::Report(SimFileOp op, absl::Status result) {
  op.ok = result.ok();
  if (observer_) observer_(op);
  if (scheduler_ != nullptr) {
    uint64_t hash = MixHash(options_.trace_id, HashText(op.path));
    for (const uint64_t part : {op.position, op.length, uint64_t{op.crc}, uint64_t{op.ok}})
      hash = MixHash(hash, part);
    scheduler_->Trace(op.name, hash);
  }
  return result;
}

void SimDisk::Restart() {
  ++epoch_;
  locks_.clear();
  dies_at_ = UINT64_MAX;
}

void SimDisk::Close() {
  closed_ = true;
  scheduler_ = nullptr;
  observer_ = nullptr;
}

void SimDisk::PowerLoss(Random& random) {
  Restart();
  names_.PowerLoss(random);
  used_ = 0;
  names_.Visit([&](const std::string&, SimNode& node) { used_ += node.content.written().size(); });
  if (scheduler_ != nullptr) scheduler_->Trace("power loss", MixHash(options_.trace_id, used_));
}

uint64_t SimDisk::Room(const SimNode& node, uint64_t wanted) const {
  if (!node.linked) return wanted;  // not counted any more
  return std::min(wanted, capacity_ - std::min(capacity_, used_));
}

void SimDisk::Release(const SimNode& node) {
  if (node.linked) used_ -= node.content.written().size();
}

void SimDisk::AddFault(SimFault fault) {
  VARVE_CHECK(fault.one_in > 0, "a fault strikes one in 0");
  fault.path_prefix = SimPath(fault.path_prefix);
  faults_.push_back(std::move(fault));
}

}  // namespace varve
