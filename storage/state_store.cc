#include "storage/state_store.h"

#include "common/error.h"
#include "storage/state_store_errors.h"

namespace varve::storage {
namespace {

// FNV-1a, 64 bits. Every piece goes in with its length, so that no two folds share a byte stream.
class FoldHasher {
 public:
  void AddNumber(uint64_t v) {
    for (int shift = 0; shift < 64; shift += 8) AddByte(static_cast<uint8_t>(v >> shift));
  }
  void AddSized(std::string_view bytes) {
    AddNumber(bytes.size());
    for (const char c : bytes) AddByte(static_cast<uint8_t>(c));
  }
  [[nodiscard]] uint64_t value() const { return hash_; }

 private:
  void AddByte(uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3; }
  uint64_t hash_ = 0xcbf29ce484222325;
};

// A scan sees one moment, but the position is read apart from it: a fold that moves on in between
// is hashed again, so often before the caller is told to stop the writer.
constexpr int kHashAttempts = 16;

}  // namespace

absl::Status StaleGeneration(GroupId group, uint64_t generation) {
  return absl::FailedPreconditionError(ToAbsl(StrCat(
      "generation ", generation, " of the fold of group ", group, " is not the current one")));
}

absl::Status PositionWentBack(GroupId group, FoldPosition from, FoldPosition to) {
  return absl::FailedPreconditionError(
      ToAbsl(StrCat("the fold of group ", group, " is at index ", from.applied,
                    " and cannot go back to ", to.applied)));
}

absl::StatusOr<uint64_t> StateStore::HashFold(GroupId group, Hashed what) {
  for (int attempt = 0; attempt < kHashAttempts; ++attempt) {
    VARVE_ASSIGN_OR_RETURN(const std::optional<Fold> before, FindFold(group));
    if (!before) return absl::NotFoundError(ToAbsl(StrCat("group ", group, " has no fold")));
    FoldHasher hasher;
    if (what == Hashed::kContentAndPosition) {
      hasher.AddNumber(before->position.applied.value());
      hasher.AddNumber(before->position.term.value());
    }
    VARVE_RETURN_IF_ERROR(
        Scan(group, before->generation, "", [&](std::string_view key, std::string_view value) {
          hasher.AddSized(key);
          hasher.AddSized(value);
          return true;
        }));
    VARVE_ASSIGN_OR_RETURN(const std::optional<Fold> after, FindFold(group));
    if (after && after->generation == before->generation && after->position == before->position)
      return hasher.value();
  }
  return absl::UnavailableError(
      ToAbsl(StrCat("the fold of group ", group, " changes faster than it can be hashed")));
}

}  // namespace varve::storage
