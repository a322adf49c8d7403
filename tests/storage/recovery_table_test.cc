#include "storage/recovery_table.h"

#include <gtest/gtest.h>

#include <set>

namespace varve::storage {
namespace {

// Calls `visit` for every combination of values of the observation's fields.
template <class Observation, class Visit, class... Chosen>
void ForEachObservation(Visit visit, Chosen... chosen) {
  using Fields = decltype(std::declval<const Observation&>().fields());
  if constexpr (sizeof...(Chosen) == std::tuple_size_v<Fields>) {
    visit(Observation{chosen...});
  } else {
    using E = std::remove_cvref_t<std::tuple_element_t<sizeof...(Chosen), Fields>>;
    for (size_t i = 0; i <= static_cast<size_t>(E::kLast); ++i)
      ForEachObservation<Observation>(visit, chosen..., static_cast<E>(i));
  }
}

template <class Observation>
std::string TextOf(const Observation& seen) {
  std::string text;
  std::apply([&](const auto&... value) { ((text += StrCat(static_cast<int>(value), " ")), ...); },
             seen.fields());
  return text;
}

// Returns the number of combinations; rows that match are added to `used`.
template <class Observation>
size_t WalkProduct(std::set<RecoveryRow>* used) {
  size_t combinations = 0;
  ForEachObservation<Observation>([&](const Observation& seen) {
    ++combinations;
    const std::vector<RecoveryRow> rows = MatchingRows(seen);
    ASSERT_EQ(rows.size(), 1u) << typeid(Observation).name() << ": " << TextOf(seen)
                               << (rows.empty() ? "" : InfoOf(rows[0]).name) << " "
                               << (rows.size() < 2 ? "" : InfoOf(rows[1]).name);
    used->insert(rows[0]);
    RecoveryTrace trace;
    EXPECT_EQ(&Decide(seen, &trace), &InfoOf(rows[0]));
    EXPECT_EQ(trace.count(rows[0]), 1u);
  });
  return combinations;
}

TEST(RecoveryTable, EveryCombinationMatchesExactlyOneRowAndEveryRowIsMatched) {
  std::set<RecoveryRow> used;
  EXPECT_EQ(WalkProduct<DirectoryObservation>(&used), 2u * 5 * 2 * 2);
  EXPECT_EQ(WalkProduct<JournalFileObservation>(&used), 5u * 5 * 3 * 2);
  EXPECT_EQ(WalkProduct<JournalObservation>(&used), 3u * 6);
  EXPECT_EQ(WalkProduct<CommitObservation>(&used), 9u * 2 * 3 * 2 * 3);
  EXPECT_EQ(WalkProduct<RedoObservation>(&used), 4u * 4 * 2 * 2);
  EXPECT_EQ(WalkProduct<SegmentObservation>(&used), 7u * 2 * 2);
  EXPECT_EQ(WalkProduct<NameObservation>(&used), 6u * 2 * 2);
  EXPECT_EQ(WalkProduct<IndexObservation>(&used), 4u);
  EXPECT_EQ(WalkProduct<StateObservation>(&used), 4u);
  EXPECT_EQ(used.size(), kRecoveryRows);
}

TEST(RecoveryTable, RowsSayWhatTheyAre) {
  ASSERT_EQ(AllRecoveryRows().size(), kRecoveryRows);
  for (const RecoveryRowInfo& info : AllRecoveryRows()) {
    EXPECT_EQ(&InfoOf(info.row), &info);
    EXPECT_FALSE(info.reason.empty()) << info.name;
    EXPECT_EQ(info.error != Reason::OK, info.verdict == RecoveryVerdict::kRefuse ||
                                            info.verdict == RecoveryVerdict::kDamaged ||
                                            info.verdict == RecoveryVerdict::kSuspect)
        << info.name;
    EXPECT_FALSE(ConditionsOf(info).empty()) << info.name;
  }
  EXPECT_EQ(ConditionsOf(InfoOf(RecoveryRow::kTornCommit)),
            "commit=Torn, file=LastListed, proof=None");
  EXPECT_EQ(ConditionsOf(InfoOf(RecoveryRow::kRedoOutsideSet)),
            "replica=Present, step=WithBytes, set=LeftSet");
}

// What may be lost must never become a shorter log: whatever was durable is told.
TEST(RecoveryTable, NothingProvenDurableIsCut) {
  ForEachObservation<CommitObservation>([](const CommitObservation& seen) {
    if (seen.proof == CommitProof::kNone || seen.file != CommitFile::kLastListed ||
        seen.commit == CommitSeen::kValid)
      return;
    const RecoveryVerdict verdict = Decide(seen).verdict;
    const bool marks = seen.list == CommitList::kMarksAlone && verdict == RecoveryVerdict::kIgnore;
    EXPECT_TRUE(verdict == RecoveryVerdict::kRefuse || verdict == RecoveryVerdict::kSuspect ||
                marks)
        << TextOf(seen);
  });
}

TEST(RecoveryTable, ARefusalNamesItsRow) {
  const absl::Status status = RefusalOf(InfoOf(RecoveryRow::kForeignIdentity), "of node 2");
  EXPECT_EQ(ReasonOf(status), Reason::FOREIGN_DIRECTORY);
  EXPECT_EQ(MessageOf(status), "of node 2 (recovery row ForeignIdentity)");
}

}  // namespace
}  // namespace varve::storage
