#include "common/derived_state.h"

#include <optional>
#include <utility>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/xoshiro.h"

namespace varve {
namespace {

constexpr uint32_t kHeadMagic = 0x54534456;  // "VDST"
constexpr uint32_t kTailMagic = 0x45534456;  // "VDSE"
constexpr uint16_t kStateVersion = 1;
constexpr uint16_t kSectionVersion = 1;
constexpr size_t kHeadBytes = 72;
constexpr size_t kSectionHeadBytes = 24;
constexpr size_t kTailBytes = 8;
constexpr size_t kLeastItemBytes = 8;

// Where the two lanes of a hash begin: "varve st", "ate item".
constexpr std::array<uint64_t, 2> kLaneSeeds = {0x7473206576726176, 0x6d65746920657461};

uint64_t Mix(uint64_t lane, uint64_t word) { return SplitMix64(lane ^ word).Next(); }

// Words of 8 bytes, the last one filled up with zeros; the lengths went in before.
uint64_t MixBytes(uint64_t lane, std::string_view bytes) {
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    lane = Mix(lane, LoadLittle<uint64_t>(bytes.data()));
  if (bytes.empty()) return lane;
  std::array<char, 8> last{};
  bytes.copy(last.data(), bytes.size());
  return Mix(lane, LoadLittle<uint64_t>(last.data()));
}

std::array<uint64_t, 2> HashItem(StateSection section, std::string_view key,
                                 std::string_view value) {
  std::array<uint64_t, 2> hash{};
  for (size_t i = 0; i < hash.size(); ++i) {
    uint64_t lane = Mix(kLaneSeeds[i], static_cast<uint64_t>(section));
    lane = Mix(lane, key.size() | uint64_t{value.size()} << 32);
    hash[i] = MixBytes(MixBytes(lane, key), value);
  }
  return hash;
}

void AddItem(const std::array<uint64_t, 2>& hash, StateDigest* digest) {
  for (size_t i = 0; i < hash.size(); ++i) digest->sum[i] += hash[i];
  ++digest->items;
}

void RemoveItem(const std::array<uint64_t, 2>& hash, StateDigest* digest) {
  for (size_t i = 0; i < hash.size(); ++i) digest->sum[i] -= hash[i];
  --digest->items;
}

StateSection SectionAt(size_t i) { return static_cast<StateSection>(i + 1); }

template <class... Pieces>
absl::Status Wrong(const Pieces&... pieces) {
  return MakeError(Reason::DATA_LOSS, "derived state: ", pieces...);
}

void PutDigest(const StateDigest& digest, ByteWriter* out) {
  out->Put(digest.sum[0]);
  out->Put(digest.sum[1]);
  out->Put(digest.items);
}

void PutSection(StateSection section, const StateItems::Table& table, ByteWriter* out) {
  uint64_t bytes = 0;
  for (const auto& [key, value] : table) bytes += kLeastItemBytes + key.size() + value.size();
  out->Put(static_cast<uint16_t>(section));
  out->Put(kSectionVersion);
  out->Put(uint32_t{0});
  out->Put(uint64_t{table.size()});
  out->Put(bytes);
  for (const auto& [key, value] : table) {
    out->PutSized(key);
    out->PutSized(value);
  }
}

// The strict reader: what it accepts, EncodeState writes again to the same bytes.
class StateReader {
 public:
  explicit StateReader(std::string_view bytes) : bytes_(bytes), in_(bytes) {}

  absl::StatusOr<StateSummary> Read(StateItems* items) {
    VARVE_RETURN_IF_ERROR(CheckEnds());
    in_ = ByteReader(bytes_.substr(0, bytes_.size() - kTailBytes));
    VARVE_RETURN_IF_ERROR(ReadHead());
    StateItems found;
    for (uint32_t i = 0; i < sections_; ++i) VARVE_RETURN_IF_ERROR(ReadSection(&found));
    if (in_.remaining() != 0) {
      return Wrong(in_.remaining(), " bytes behind the last section, at byte ", in_.position());
    }
    if (found.digest() != out_.digest) {
      return Wrong("the digest of the ", found.digest().items, " items is not the one stated");
    }
    if (items != nullptr) *items = std::move(found);
    return out_;
  }

 private:
  absl::Status CheckEnds() {
    if (bytes_.size() < kHeadBytes + kTailBytes || bytes_.size() > kMaxStateBytes) {
      return Wrong(bytes_.size(), " bytes are too few or too many");
    }
    ByteReader tail(bytes_.substr(bytes_.size() - kTailBytes));
    const auto magic = tail.Get<uint32_t>();
    const auto crc = tail.Get<uint32_t>();
    if (LoadLittle<uint32_t>(bytes_.data()) != kHeadMagic || magic != kTailMagic) {
      return Wrong("it does not begin and end as one");
    }
    if (crc != Crc32c(bytes_.substr(0, bytes_.size() - 4))) return Wrong("the checksum differs");
    return absl::OkStatus();
  }

  absl::Status ReadHead() {
    (void)in_.Get<uint32_t>();
    const auto version = in_.Get<uint16_t>();
    const auto reserved = in_.Get<uint16_t>();
    if (version > kStateVersion) {
      return MakeError(Reason::NEWER_FORMAT, "derived state of version ", version,
                       " comes from a newer varve");
    }
    out_.at.group = GroupId{in_.Get<uint64_t>()};
    out_.at.index = Index{in_.Get<uint64_t>()};
    out_.at.term = Term{in_.Get<uint64_t>()};
    out_.at.next_offset = Offset{in_.Get<int64_t>()};
    for (uint64_t& sum : out_.digest.sum) sum = in_.Get<uint64_t>();
    out_.digest.items = in_.Get<uint64_t>();
    sections_ = in_.Get<uint32_t>();
    const auto reserved_too = in_.Get<uint32_t>();
    const bool nothing = out_.at.index == Index{};
    if (version == 0 || reserved != 0 || reserved_too != 0 || out_.at.next_offset < Offset{0} ||
        out_.at.term > kMaxTerm ||
        (nothing && (out_.at.term != Term{} || out_.at.next_offset != Offset{}))) {
      return Wrong("its head makes no sense: version ", version, ", index ", out_.at.index,
                   ", term ", out_.at.term, ", next offset ", out_.at.next_offset);
    }
    return absl::OkStatus();
  }

  absl::Status ReadSection(StateItems* items) {
    const size_t begin = in_.position();
    const auto type = in_.Get<uint16_t>();
    const auto version = in_.Get<uint16_t>();
    const auto reserved = in_.Get<uint32_t>();
    const auto count = in_.Get<uint64_t>();
    const auto bytes = in_.Get<uint64_t>();
    if (!in_.ok() || bytes > in_.remaining()) return Wrong("cut in a section at byte ", begin);
    if (type > kStateSections || version > kSectionVersion) {
      return MakeError(Reason::NEWER_FORMAT, "section ", type, " of version ", version,
                       " of the derived state comes from a newer varve");
    }
    if (type <= last_type_ || version == 0 || reserved != 0 || count == 0 ||
        count > bytes / kLeastItemBytes) {
      return Wrong("section ", type, " at byte ", begin, " with ", count, " items in ", bytes,
                   " bytes makes no sense");
    }
    last_type_ = type;
    const size_t end = in_.position() + bytes;
    const auto section = static_cast<StateSection>(type);
    std::optional<std::string_view> before;
    for (uint64_t i = 0; i < count; ++i) VARVE_RETURN_IF_ERROR(ReadItem(section, &before, items));
    out_.items[type - 1u] = count;
    if (in_.position() == end) return absl::OkStatus();
    return Wrong("section ", type, " at byte ", begin, " ends at byte ", in_.position(), ", not ",
                 end);
  }

  absl::Status ReadItem(StateSection section, std::optional<std::string_view>* before,
                        StateItems* items) {
    const size_t begin = in_.position();
    const std::string_view key = in_.GetSized();
    const std::string_view value = in_.GetSized();
    if (!in_.ok() || key.size() > kMaxStateKeyBytes || value.size() > kMaxStateValueBytes) {
      return Wrong("the item at byte ", begin, " is cut, or larger than any");
    }
    if (*before && **before >= key) return Wrong("keys are out of order at byte ", begin);
    *before = key;
    items->Put(section, key, value);
    return absl::OkStatus();
  }

  const std::string_view bytes_;
  ByteReader in_;
  StateSummary out_;
  uint32_t sections_ = 0;
  uint16_t last_type_ = 0;
};

}  // namespace

std::string_view NameOf(StateSection section) {
  switch (section) {
    case StateSection::kProducers:
      return "producers";
    case StateSection::kOpenTransactions:
      return "open transactions";
    case StateSection::kDeduplicationIds:
      return "deduplication ids";
    case StateSection::kAbortedRanges:
      return "aborted ranges";
  }
  return "unknown";
}

StateDigest EmptyStateDigest() { return {kLaneSeeds, 0}; }

// --- StateItems
// -----------------------------------------------------------------------------------

StateItems::Table& StateItems::TableOf(StateSection section) {
  const auto number = static_cast<size_t>(section);
  VARVE_CHECK(number >= 1 && number <= kStateSections, "section ", number);
  return tables_[number - 1];
}

const StateItems::Table& StateItems::table(StateSection section) const {
  const auto number = static_cast<size_t>(section);
  VARVE_CHECK(number >= 1 && number <= kStateSections, "section ", number);
  return tables_[number - 1];
}

void StateItems::Put(StateSection section, std::string_view key, std::string_view value) {
  VARVE_CHECK(key.size() <= kMaxStateKeyBytes && value.size() <= kMaxStateValueBytes,
              NameOf(section), ": an item with ", key.size(), " bytes of key and ", value.size(),
              " of value");
  Table& table = TableOf(section);
  // Decoding puts items in order.
  auto at = table.empty() || table.rbegin()->first < key ? table.end() : table.lower_bound(key);
  if (at != table.end() && at->first == key) {
    RemoveItem(HashItem(section, key, at->second), &digest_);
    at->second = value;
  } else {
    table.emplace_hint(at, key, value);
  }
  AddItem(HashItem(section, key, value), &digest_);
}

void StateItems::Erase(StateSection section, std::string_view key) {
  Table& table = TableOf(section);
  const auto at = table.find(key);
  if (at == table.end()) return;
  RemoveItem(HashItem(section, key, at->second), &digest_);
  table.erase(at);
}

const std::string* StateItems::Find(StateSection section, std::string_view key) const {
  const Table& found = table(section);
  const auto at = found.find(key);
  return at == found.end() ? nullptr : &at->second;
}

// --- Bytes
// ----------------------------------------------------------------------------------------

std::string EncodeState(const StatePosition& at, const StateItems& items) {
  uint32_t sections = 0;
  for (size_t i = 0; i < kStateSections; ++i) sections += items.table(SectionAt(i)).empty() ? 0 : 1;
  std::string bytes;
  ByteWriter out(&bytes);
  out.Put(kHeadMagic);
  out.Put(kStateVersion);
  out.Put(uint16_t{0});
  out.Put(at.group.value());
  out.Put(at.index.value());
  out.Put(at.term.value());
  out.Put(at.next_offset.value());
  PutDigest(items.digest(), &out);
  out.Put(sections);
  out.Put(uint32_t{0});
  for (size_t i = 0; i < kStateSections; ++i) {
    const StateSection section = SectionAt(i);
    if (!items.table(section).empty()) PutSection(section, items.table(section), &out);
  }
  out.Put(kTailMagic);
  out.Put(Crc32c(bytes));
  return bytes;
}

absl::StatusOr<StateSummary> DecodeState(std::string_view bytes, StateItems* items) {
  return StateReader(bytes).Read(items);
}

// --- DerivedState
// ---------------------------------------------------------------------------------

DerivedState::DerivedState(GroupId group, StateFolds folds)
    : folds_(std::move(folds)), at_{group, {}, {}, {}} {
  for (size_t i = 0; i < folds_.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      VARVE_CHECK(folds_[i]->section() != folds_[j]->section(), "two folds of ",
                  NameOf(folds_[i]->section()));
}

bool DerivedState::Folds(StateSection section) const {
  for (const auto& fold : folds_)
    if (fold->section() == section) return true;
  return false;
}

bool DerivedState::Continues(const EntryHeader& header) const {
  return header.group == at_.group && header.first_index == at_.index + 1 &&
         header.term >= at_.term && header.base_offset == at_.next_offset;
}

absl::Status DerivedState::Apply(const Entry& entry) {
  const EntryHeader& header = entry.header;
  if (!Continues(header)) {
    return Wrong("group ", at_.group, " at index ", at_.index, ", offset ", at_.next_offset,
                 ": entry ", header.first_index, " of group ", header.group, " at offset ",
                 header.base_offset, " does not follow");
  }
  for (const auto& fold : folds_) VARVE_RETURN_IF_ERROR(fold->Apply(entry, &items_));
  at_.index = header.last_index;
  at_.term = header.term;
  at_.next_offset = header.next_offset();
  return absl::OkStatus();
}

void DerivedState::StartAt(const StatePosition& at) {
  VARVE_CHECK(at.group == at_.group);
  at_ = at;
  items_ = {};
}

absl::Status DerivedState::Decode(std::string_view bytes) {
  StateItems items;
  VARVE_ASSIGN_OR_RETURN(const StateSummary summary, DecodeState(bytes, &items));
  if (summary.at.group != at_.group) {
    return Wrong("it is of group ", summary.at.group, ", not ", at_.group);
  }
  for (size_t i = 0; i < kStateSections; ++i) {
    if (summary.items[i] == 0 || Folds(SectionAt(i))) continue;
    return MakeError(Reason::NEWER_FORMAT, "the derived state of group ", at_.group, " has ",
                     summary.items[i], " ", NameOf(SectionAt(i)),
                     ", which this varve does not carry on");
  }
  at_ = summary.at;
  items_ = std::move(items);
  return absl::OkStatus();
}

}  // namespace varve
