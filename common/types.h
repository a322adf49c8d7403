// The nouns of varve as distinct types: an offset cannot be passed where an index is wanted.
//
// All types are trivially copyable values, explicit both ways: construct with Offset{5}, read with
// .value(). There is no silent conversion to or from integers, nor between types. Thread-safe as
// values. Vocabulary: docs/architecture.md, "Words".
#ifndef VARVE_COMMON_TYPES_H_
#define VARVE_COMMON_TYPES_H_

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace varve {

template <class Tag, class Rep>
class StrongInt {
 public:
  using rep = Rep;
  constexpr StrongInt() = default;
  explicit constexpr StrongInt(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }

  constexpr auto operator<=>(const StrongInt&) const = default;
  constexpr StrongInt& operator++() {
    ++value_;
    return *this;
  }
  // Stepping by a plain count keeps the type; the distance of two values is a plain count.
  friend constexpr StrongInt operator+(StrongInt a, Rep n) { return StrongInt(a.value_ + n); }
  friend constexpr StrongInt operator-(StrongInt a, Rep n) { return StrongInt(a.value_ - n); }
  friend constexpr Rep operator-(StrongInt a, StrongInt b) { return a.value_ - b.value_; }
  friend std::ostream& operator<<(std::ostream& out, StrongInt v) { return out << +v.value_; }
  template <typename H>
  friend H AbslHashValue(H h, StrongInt v) {
    return H::combine(std::move(h), v.value_);
  }

 private:
  Rep value_{};
};

// A record's logical place in its partition, from 0. Not a byte position.
using Offset = StrongInt<struct OffsetTag, int64_t>;
// An entry's place in the Raft log of its group, from 1; 0 means "before the first entry".
using Index = StrongInt<struct IndexTag, uint64_t>;
// Raft term; 31 bits, so that it fits the leader epoch of a record batch. 0 = none.
using Term = StrongInt<struct TermTag, uint64_t>;
inline constexpr Term kMaxTerm{0x7fffffff};
// A replicated log; never reused in the life of a cluster. 0 is not a group.
using GroupId = StrongInt<struct GroupIdTag, uint64_t>;
inline constexpr GroupId kMetadataGroup{1};
// Groups made from topics start here; smaller ids are reserved for internal partitions.
inline constexpr GroupId kFirstTopicGroup{1 << 16};
// Number of a partition within its topic, from 0.
using PartitionId = StrongInt<struct PartitionIdTag, uint32_t>;
// A broker, from 1; 0 = none.
using NodeId = StrongInt<struct NodeIdTag, uint32_t>;
// Incarnation of a replica on its node: a wiped disk comes back under a higher one. 0 = none.
using ReplicaEpoch = StrongInt<struct ReplicaEpochTag, uint32_t>;
// Number of a segment or journal file; never reused within its data directory. 0 = none.
using FileNumber = StrongInt<struct FileNumberTag, uint64_t>;
// One use of a recycled journal file. Grows within the data directory and is never reused.
using Generation = StrongInt<struct GenerationTag, uint64_t>;
// Number of a journal commit; grows by one within the data directory and never restarts.
using CommitSequence = StrongInt<struct CommitSequenceTag, uint64_t>;
// Number of a group's frame in the journal; grows by one within the group. 0 = none yet.
using FrameSequence = StrongInt<struct FrameSequenceTag, uint64_t>;
// Milliseconds since the Unix epoch, UTC.
using WallTime = StrongInt<struct WallTimeTag, int64_t>;

// Identity of a replica for votes and configuration: node and incarnation.
struct ReplicaId {
  NodeId node;
  ReplicaEpoch epoch;
  constexpr auto operator<=>(const ReplicaId&) const = default;
  [[nodiscard]] constexpr bool empty() const { return node == NodeId{}; }
};

// 128 random bits naming a topic, a cluster or a data directory for ever.
template <class Tag>
struct Id128 {
  std::array<uint8_t, 16> bytes{};
  constexpr auto operator<=>(const Id128&) const = default;
  [[nodiscard]] bool empty() const { return *this == Id128{}; }
  // 8-4-4-4-12 lower-case hexadecimal.
  [[nodiscard]] std::string ToString() const;
  // Accepts exactly what ToString writes; false and *out unchanged otherwise.
  static bool Parse(std::string_view text, Id128* out);
  template <typename H>
  friend H AbslHashValue(H h, const Id128& id) {
    return H::combine(std::move(h), id.bytes);
  }
};
using TopicId = Id128<struct TopicIdTag>;
using ClusterId = Id128<struct ClusterIdTag>;
using DirectoryId = Id128<struct DirectoryIdTag>;

std::string FormatId128(const std::array<uint8_t, 16>& bytes);
bool ParseId128(std::string_view text, std::array<uint8_t, 16>* out);

template <class Tag>
std::string Id128<Tag>::ToString() const {
  return FormatId128(bytes);
}
template <class Tag>
bool Id128<Tag>::Parse(std::string_view text, Id128* out) {
  return ParseId128(text, &out->bytes);
}

}  // namespace varve

template <class Tag, class Rep>
struct std::hash<varve::StrongInt<Tag, Rep>> {
  size_t operator()(varve::StrongInt<Tag, Rep> v) const noexcept {
    return std::hash<Rep>{}(v.value());
  }
};

#endif  // VARVE_COMMON_TYPES_H_
