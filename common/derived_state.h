// Derived state of a log: what its entries say beyond themselves (producers, open transactions,
// deduplication ids), as tables of items, and their bytes. docs/formats.md, "Derived state".
//
// The state is a pure function of the log up to an entry, the same on every replica; so are its
// bytes. Values, not thread-safe.
#ifndef VARVE_COMMON_DERIVED_STATE_H_
#define VARVE_COMMON_DERIVED_STATE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/entry.h"
#include "common/meta_entry.h"
#include "common/types.h"

namespace varve {

// Tables of the state. The numbers are part of the format.
enum class StateSection : uint16_t {
  kProducers = 1,
  kOpenTransactions = 2,
  kDeduplicationIds = 3,
  kAbortedRanges = 4,
};
inline constexpr uint16_t kStateSections = 4;
// "producers", ...
std::string_view NameOf(StateSection section);

inline constexpr size_t kMaxStateKeyBytes = 1024;
inline constexpr size_t kMaxStateValueBytes = 64 * 1024;
// Of one encoded state; a larger one is not saved.
inline constexpr size_t kMaxStateBytes = 256 * 1024 * 1024;

// The last entry that a state has folded: index 0 and term 0 for none.
struct StatePosition {
  GroupId group;
  Index index;
  Term term;
  Offset next_offset;  // that the record after it gets
  bool operator==(const StatePosition&) const = default;
};

// The digest of a state without items. It differs from zero: a segment start whose digest is all
// zero (StateDigest{}) states none.
StateDigest EmptyStateDigest();
inline bool IsStated(const StateDigest& digest) { return digest != StateDigest{}; }

// Items of all sections by key, and their digest, kept with every change: the sum of the items'
// hashes, added to that of the empty state. Copying copies all items.
class StateItems {
 public:
  using Table = std::map<std::string, std::string, std::less<>>;

  // Adds the item or replaces its value. Sizes beyond the limits are a broken invariant of the
  // fold: what it stores is bounded by the entries' own limits.
  void Put(StateSection section, std::string_view key, std::string_view value);
  // Nothing when there is no such item.
  void Erase(StateSection section, std::string_view key);
  // The value of `key`; null when there is none. Valid until the section changes.
  [[nodiscard]] const std::string* Find(StateSection section, std::string_view key) const;
  // Ascending by key, bytewise.
  [[nodiscard]] const Table& table(StateSection section) const;
  [[nodiscard]] const StateDigest& digest() const { return digest_; }

 private:
  Table& TableOf(StateSection section);

  std::array<Table, kStateSections> tables_;
  StateDigest digest_ = EmptyStateDigest();
};

// What an encoded state says of itself, after everything in it was verified.
struct StateSummary {
  StatePosition at;
  StateDigest digest;
  std::array<uint64_t, kStateSections> items{};  // of section 1 on
  bool operator==(const StateSummary&) const = default;
};

std::string EncodeState(const StatePosition& at, const StateItems& items);
// Verifies all of `bytes`, hostile ones too; puts the items into `items` unless that is null
// (unchanged on an error). DATA_LOSS says what is wrong and where; NEWER_FORMAT: intact, but with a
// section or a version that this varve does not know.
absl::StatusOr<StateSummary> DecodeState(std::string_view bytes, StateItems* items);

// How one section follows from entries. Stateless: all that it knows of earlier entries is in the
// items, so that a state can be copied, saved and loaded at any entry. It changes its own section
// alone.
class StateFold {
 public:
  virtual ~StateFold() = default;
  [[nodiscard]] virtual StateSection section() const = 0;
  // Data entries with the header of their batch, markers, Meta bodies: whatever the section needs.
  // DATA_LOSS when the entry contradicts the items; they shall then be as before.
  virtual absl::Status Apply(const Entry& entry, StateItems* items) const = 0;
};

// The folds of a varve, one for each section that it keeps. Shared by the states of all groups.
using StateFolds = std::vector<std::shared_ptr<const StateFold>>;

// A state and how it goes on. A copy goes its own way.
class DerivedState {
 public:
  // Before the first entry of the log. No two folds of one section.
  explicit DerivedState(GroupId group, StateFolds folds = {});

  // Whether `entry` is the one that follows.
  [[nodiscard]] bool Continues(const EntryHeader& header) const;
  // Folds the next entry. DATA_LOSS when it does not follow, or a fold refuses it; the state is
  // then as before, but for sections whose fold came before the one that refused, so it is of no
  // more use.
  absl::Status Apply(const Entry& entry);
  // An empty state at this position: of a log whose first segment start says that nothing came
  // before it.
  void StartAt(const StatePosition& at);

  [[nodiscard]] const StatePosition& position() const { return at_; }
  // Of everything folded so far: what a segment start behind the position states.
  [[nodiscard]] const StateDigest& digest() const { return items_.digest(); }
  [[nodiscard]] const StateItems& items() const { return items_; }

  [[nodiscard]] std::string Encode() const { return EncodeState(at_, items_); }
  // Becomes what `bytes` hold; on an error all stays. Errors as DecodeState; DATA_LOSS for another
  // group's; NEWER_FORMAT for items of a section that no fold here carries on.
  absl::Status Decode(std::string_view bytes);

 private:
  [[nodiscard]] bool Folds(StateSection section) const;

  StateFolds folds_;
  StatePosition at_;
  StateItems items_;
};

}  // namespace varve

#endif  // VARVE_COMMON_DERIVED_STATE_H_
