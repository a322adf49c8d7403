#include "storage/space_reserve.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"

namespace varve::storage {
namespace {

// How often a disk that was full is asked for room.
constexpr Nanos kFillRetry = 500 * kMillisecond;
// Replicas share blocks of the reserve by so many, so that not every creation changes the file.
constexpr uint64_t kReplicaStep = 16;

uint64_t RoundUp(uint64_t value, uint64_t step) { return (value + step - 1) / step * step; }

}  // namespace

SpaceReserve::SpaceReserve(FileSystem& files, std::string path, Sizes sizes, Executor& executor,
                           const Clock& clock)
    : files_(files), path_(std::move(path)), sizes_(sizes), executor_(executor), clock_(clock) {}

absl::Status SpaceReserve::Open() {
  if (sizes_.reserve_bytes == 0) return absl::OkStatus();
  const std::lock_guard file_lock(file_mutex_);
  auto file = files_.Open(path_, OpenMode::kReadWrite);
  if (absl::IsNotFound(file.status())) file = files_.Open(path_, OpenMode::kCreate);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file_->Size());
  const std::lock_guard lock(mutex_);
  stats_.reserve = size;
  return absl::OkStatus();
}

absl::Status SpaceReserve::ReleaseAll() {
  const std::lock_guard file_lock(file_mutex_);
  if (file_ == nullptr) return absl::OkStatus();
  VARVE_RETURN_IF_ERROR(file_->Truncate(0));
  const std::lock_guard lock(mutex_);
  stats_.reserve = 0;
  is_short_.store(true);
  return absl::OkStatus();
}

void SpaceReserve::Start(uint64_t replicas) {
  const std::lock_guard lock(mutex_);
  running_ = file_ != nullptr;
  replicas_ = replicas;
  stats_.reserve_target = Target();
  PostFill();
}

void SpaceReserve::SetReplicas(uint64_t replicas) {
  const std::lock_guard lock(mutex_);
  replicas_ = replicas;
  const uint64_t before = std::exchange(stats_.reserve_target, Target());
  if (stats_.reserve_target > before) PostFill();
}

void SpaceReserve::Detach() {
  const std::lock_guard lock(mutex_);
  running_ = false;
}

// mutex_ held, as in the following two.
uint64_t SpaceReserve::Target() const {
  if (sizes_.reserve_bytes == 0) return 0;
  return RoundUp(sizes_.dirty_bytes + sizes_.reserve_bytes, limits::kBlockBytes) +
         RoundUp(replicas_ + 1, kReplicaStep) * limits::kBlockBytes;
}

void SpaceReserve::PostFill() {
  if (!running_ || std::exchange(fill_posted_, true)) return;
  executor_.Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Fill();
  });
}

void SpaceReserve::ArmRetry() {
  if (!running_ || std::exchange(retry_armed_, true)) return;
  executor_.RunAt(clock_.Now() + kFillRetry, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    {
      const std::lock_guard lock(self->mutex_);
      self->retry_armed_ = false;
      if (!self->running_) return;
    }
    self->Fill();
  });
}

// An error other than a full disk is met again by whatever is written next, and told there.
void SpaceReserve::Fill() {
  const std::lock_guard file_lock(file_mutex_);
  {
    const std::lock_guard lock(mutex_);
    fill_posted_ = false;
    if (!running_) return;
  }
  const bool grown = Grow().ok();
  const auto size = file_->Size();
  const std::lock_guard lock(mutex_);
  if (size.ok()) stats_.reserve = *size;
  const bool whole = grown && stats_.reserve >= stats_.reserve_target;
  is_short_.store(!whole);
  if (!whole) ArmRetry();
}

// As far as the disk has room; of what does not suffice, half is left to others.
absl::Status SpaceReserve::Grow() {
  uint64_t present = 0;
  uint64_t target = 0;
  {
    const std::lock_guard lock(mutex_);
    present = stats_.reserve;
    target = stats_.reserve_target;
  }
  if (present > target) return file_->Truncate(target);  // a setting was lowered
  if (present == target) return absl::OkStatus();
  VARVE_ASSIGN_OR_RETURN(const SpaceInfo space, files_.Space(path_));
  if (space.free_bytes < target - present) {
    target = present + space.free_bytes / 2 / limits::kBlockBytes * limits::kBlockBytes;
  }
  return target == present ? absl::OkStatus() : file_->Allocate(target, /*zero_fill=*/false);
}

absl::Status SpaceReserve::Draw(uint64_t bytes) {
  const std::lock_guard file_lock(file_mutex_);
  uint64_t present = 0;
  {
    const std::lock_guard lock(mutex_);
    present = stats_.reserve;
    is_short_.store(file_ != nullptr);
    ArmRetry();
  }
  if (file_ == nullptr || present == 0)
    return MakeError(Reason::NO_SPACE, "the disk is full, and its reserve is used up");
  const uint64_t less = RoundUp(std::max<uint64_t>(bytes, 1), limits::kBlockBytes);
  const uint64_t left = less >= present ? 0 : present - less;
  VARVE_RETURN_IF_ERROR(file_->Truncate(left));
  const std::lock_guard lock(mutex_);
  stats_.reserve = left;
  ++stats_.draws;
  return absl::OkStatus();
}

void SpaceReserve::Charge(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  stats_.under_way += bytes;
}

void SpaceReserve::Return(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  VARVE_CHECK(bytes <= stats_.under_way, "returned ", bytes, " of ", stats_.under_way,
              " bytes under way to segments");
  stats_.under_way -= bytes;
}

absl::Status SpaceReserve::Admit(SpaceClass wanted, uint64_t dirty_bytes) const {
  if (!is_short()) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  const uint64_t taken = std::max(stats_.under_way, dirty_bytes);
  const uint64_t kept = wanted == SpaceClass::kSystem ? sizes_.reserve_bytes / 4 : 0;
  if (wanted != SpaceClass::kData && stats_.reserve > taken + kept) return absl::OkStatus();
  return MakeError(Reason::NO_SPACE, "the disk is full: \"", path_, "\" holds ", stats_.reserve,
                   " of ", stats_.reserve_target, " reserved bytes");
}

SpaceStats SpaceReserve::stats() const {
  const std::lock_guard lock(mutex_);
  SpaceStats stats = stats_;
  stats.is_short = is_short();
  return stats;
}

}  // namespace varve::storage
