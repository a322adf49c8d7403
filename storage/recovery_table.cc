#include "storage/recovery_table.h"

#include <algorithm>
#include <cctype>
#include <type_traits>
#include <utility>

#include "common/check.h"
#include "common/strings.h"

namespace varve::storage {
namespace {

using enum RecoveryVerdict;

// --- Patterns

struct AnyValue {};
constexpr AnyValue kAny;

// A set of values of one enum. Converts from a value and from kAny, so that rows read as tables.
template <class E>
struct OneOf {
  uint32_t mask = 0;
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr OneOf(E value) : mask(1u << static_cast<unsigned>(value)) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr OneOf(AnyValue /*any*/) : mask((2u << static_cast<unsigned>(E::kLast)) - 1) {}
  constexpr explicit OneOf(uint32_t values) : mask(values) {}
  [[nodiscard]] constexpr bool Has(E value) const {
    return (mask >> static_cast<unsigned>(value) & 1) != 0;
  }
};

template <class E, class... More>
constexpr OneOf<E> AnyOf(E first, More... more) {
  return OneOf<E>(OneOf<E>(first).mask | (OneOf<E>(more).mask | ...));
}

constexpr auto kNoCommit = AnyOf(CommitSeen::kTorn, CommitSeen::kHeadless, CommitSeen::kStale,
                                 CommitSeen::kZeroes, CommitSeen::kGarbage);
constexpr auto kWithBytes = AnyOf(StepSeen::kAppendAtStart, StepSeen::kAppend, StepSeen::kTruncate);

template <class Fields>
struct PatternFor;
template <class... E>
struct PatternFor<std::tuple<const E&...>> {
  using type = std::tuple<OneOf<E>...>;
};
template <class Observation>
using PatternOf = typename PatternFor<decltype(std::declval<const Observation&>().fields())>::type;

template <class Observation>
struct Row {
  RecoveryRow row;
  PatternOf<Observation> pattern;
};

// --- Tables

struct TableInfo {
  std::string_view name;
  std::vector<std::string_view> fields;
};
template <class Observation>
TableInfo InfoOfTable() {
  if constexpr (std::is_same_v<Observation, DirectoryObservation>) {
    return {"directory", {"lock", "identity", "journal", "groups"}};
  } else if constexpr (std::is_same_v<Observation, JournalFileObservation>) {
    return {"journal file", {"header", "role", "checkpoint", "commits"}};
  } else if constexpr (std::is_same_v<Observation, JournalObservation>) {
    return {"journal", {"newest", "mark"}};
  } else if constexpr (std::is_same_v<Observation, CommitObservation>) {
    return {"commit", {"commit", "file", "proof", "place", "list"}};
  } else if constexpr (std::is_same_v<Observation, RedoObservation>) {
    return {"redo", {"replica", "step", "set", "file"}};
  } else if constexpr (std::is_same_v<Observation, SegmentObservation>) {
    return {"segment", {"segment", "place", "replica"}};
  } else if constexpr (std::is_same_v<Observation, NameObservation>) {
    return {"name", {"name", "owner", "replica"}};
  } else if constexpr (std::is_same_v<Observation, IndexObservation>) {
    return {"index", {"index"}};
  } else {
    static_assert(std::is_same_v<Observation, StateObservation>);
    return {"state", {"state"}};
  }
}

// The rows of one table. The template discards those of the others.
template <class Observation>
const std::vector<Row<Observation>>& RowsOf() {
  static const std::vector<Row<Observation>> rows = [] {
    std::vector<Row<Observation>> out;
    out.reserve(kRecoveryRows);
#define VARVE_RECOVERY_ROW(Table, Name, verdict, error, reason, unreachable, ...) \
  if constexpr (std::is_same_v<Observation, Table>) {                             \
    out.push_back({RecoveryRow::k##Name, PatternOf<Observation>{__VA_ARGS__}});   \
  }
#include "storage/recovery_table.inc"
#undef VARVE_RECOVERY_ROW
    return out;
  }();
  return rows;
}

template <class Fields, class Pattern, size_t... I>
bool MatchesEach(const Fields& fields, const Pattern& pattern,
                 std::index_sequence<I...> /*places*/) {
  return (std::get<I>(pattern).Has(std::get<I>(fields)) && ...);
}

template <class Observation>
bool Matches(const Observation& seen, const PatternOf<Observation>& pattern) {
  return MatchesEach(seen.fields(), pattern,
                     std::make_index_sequence<std::tuple_size_v<PatternOf<Observation>>>());
}

template <class Observation>
std::vector<RecoveryRow> Match(const Observation& seen) {
  std::vector<RecoveryRow> out;
  for (const Row<Observation>& row : RowsOf<Observation>())
    if (Matches(seen, row.pattern)) out.push_back(row.row);
  return out;
}

template <class Observation>
const RecoveryRowInfo& DecideIn(const Observation& seen, RecoveryTrace* trace) {
  const auto& rows = RowsOf<Observation>();
  const auto at = std::find_if(rows.begin(), rows.end(), [&](const Row<Observation>& row) {
    return Matches(seen, row.pattern);
  });
  VARVE_CHECK(at != rows.end(), "recovery table ", InfoOfTable<Observation>().name, ": no row");
  if (trace != nullptr) trace->Count(at->row);
  return InfoOf(at->row);
}

}  // namespace

std::string_view NameOf(RecoveryVerdict verdict) {
  switch (verdict) {
    case kBegin:
      return "begin";
    case kUse:
      return "use";
    case kRedo:
      return "redo";
    case kCreate:
      return "create";
    case kEnd:
      return "end";
    case kCut:
      return "cut";
    case kIgnore:
      return "ignore";
    case kRebuild:
      return "rebuild";
    case kRemove:
      return "remove";
    case kTrash:
      return "trash";
    case kDamaged:
      return "damaged";
    case kSuspect:
      return "suspect";
    case kRefuse:
      return "refuse";
  }
  return "";
}

std::span<const RecoveryRowInfo> AllRecoveryRows() {
  static const std::vector<RecoveryRowInfo> rows = {
#define VARVE_RECOVERY_ROW(Table, Name, verdict, error, reason, unreachable, ...)                \
  {RecoveryRow::k##Name, #Name,       InfoOfTable<Table>().name, verdict, Reason::error, reason, \
   unreachable,          #__VA_ARGS__},
#include "storage/recovery_table.inc"
#undef VARVE_RECOVERY_ROW
  };
  return rows;
}

const RecoveryRowInfo& InfoOf(RecoveryRow row) {
  return AllRecoveryRows()[static_cast<size_t>(row)];
}

std::string ConditionsOf(const RecoveryRowInfo& info) {
  std::vector<std::string_view> fields;
#define VARVE_RECOVERY_ROW(Table, Name, ...) \
  if (info.row == RecoveryRow::k##Name) fields = InfoOfTable<Table>().fields;
#include "storage/recovery_table.inc"
#undef VARVE_RECOVERY_ROW
  // "LockSeen::kTaken, AnyOf(A::kB, A::kC), kAny": one part for each field.
  std::string out, part;
  size_t field = 0;
  int depth = 0;
  const auto finish = [&] {
    if (part != "Any") {
      if (!out.empty()) out += ", ";
      out += StrCat(fields.at(field), "=", part);
    }
    part.clear();
    ++field;
  };
  std::string word;
  const auto take_word = [&] {
    if (word.size() > 1 && word[0] == 'k' && std::isupper(static_cast<unsigned char>(word[1]))) {
      if (!part.empty()) part += " or ";
      part += word.substr(1);
    }
    word.clear();
  };
  for (const char c : info.pattern) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    take_word();
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) finish();
  }
  take_word();
  finish();
  return out;
}

void RecoveryTrace::Add(const RecoveryTrace& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

#define VARVE_RECOVERY_TABLE(Observation)                                        \
  const RecoveryRowInfo& Decide(const Observation& seen, RecoveryTrace* trace) { \
    return DecideIn(seen, trace);                                                \
  }                                                                              \
  std::vector<RecoveryRow> MatchingRows(const Observation& seen) { return Match(seen); }
VARVE_RECOVERY_TABLE(DirectoryObservation)
VARVE_RECOVERY_TABLE(JournalFileObservation)
VARVE_RECOVERY_TABLE(JournalObservation)
VARVE_RECOVERY_TABLE(CommitObservation)
VARVE_RECOVERY_TABLE(RedoObservation)
VARVE_RECOVERY_TABLE(SegmentObservation)
VARVE_RECOVERY_TABLE(NameObservation)
VARVE_RECOVERY_TABLE(IndexObservation)
VARVE_RECOVERY_TABLE(StateObservation)
#undef VARVE_RECOVERY_TABLE

absl::Status RefusalOf(const RecoveryRowInfo& row, std::string_view what) {
  return MakeError(row.error == Reason::OK ? Reason::INTERNAL : row.error, what, " (recovery row ",
                   row.name, ")");
}

}  // namespace varve::storage
