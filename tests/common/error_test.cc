#include "common/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "common/types.h"

namespace varve {
namespace {

// --- The table is consistent

TEST(ErrorTableTest, NamesAndNumbersAreUnique) {
  std::set<std::string_view> names;
  std::set<Reason> numbers;
  for (const ErrorInfo& row : AllErrors()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(numbers.insert(row.reason).second) << row.name;
    EXPECT_NE(row.reason, Reason::OK);
  }
}

TEST(ErrorTableTest, NamesAreUpperSnakeCaseAndAdviceIsASentence) {
  for (const ErrorInfo& row : AllErrors()) {
    EXPECT_THAT(std::string(row.name), testing::MatchesRegex("[A-Z]+(_[A-Z]+)*"));
    EXPECT_GE(row.advice.size(), 20U) << row.name;
    EXPECT_TRUE(row.advice.ends_with('.')) << row.name;
  }
}

TEST(ErrorTableTest, AnUnknownOutcomeNeverMapsToADefiniteKafkaCode) {
  for (const ErrorInfo& row : AllErrors()) {
    // -1 UNKNOWN_SERVER_ERROR and 7 REQUEST_TIMED_OUT leave open whether the request took effect.
    if (row.outcome == Outcome::UNKNOWN) {
      EXPECT_TRUE(row.kafka_code == -1 || row.kafka_code == 7) << row.name << " " << row.kafka_code;
    }
    EXPECT_NE(row.kafka_code, 0) << row.name << " would be a success";
  }
}

TEST(ErrorTableTest, WhatAdmissionRefusesIsNotApplied) {
  for (const ErrorInfo& row : AllErrors())
    if (row.phase == ErrorPhase::ADMISSION) {
      EXPECT_EQ(row.outcome, Outcome::NOT_APPLIED) << row.name;
    }
}

TEST(ErrorTableTest, EveryErrorFailsInGrpcAndOnTheCommandLine) {
  for (const ErrorInfo& row : AllErrors()) {
    EXPECT_NE(row.code, absl::StatusCode::kOk) << row.name;
    EXPECT_GT(row.exit_code, 0) << row.name;
    EXPECT_LT(row.exit_code, 126) << row.name << ": the shell uses those itself";
  }
}

TEST(ErrorTableTest, FindsRowsByReasonAndName) {
  for (const ErrorInfo& row : AllErrors()) {
    EXPECT_EQ(&InfoOf(row.reason), &row);
    EXPECT_EQ(ReasonNamed(row.name), row.reason);
  }
}

TEST(ErrorTableTest, WhatIsNotInTheTableIsInternal) {
  EXPECT_EQ(InfoOf(Reason::OK).reason, Reason::INTERNAL);
  EXPECT_EQ(InfoOf(static_cast<Reason>(65535)).reason, Reason::INTERNAL);
  EXPECT_EQ(ReasonNamed("NO_SUCH_REASON"), Reason::INTERNAL);
  EXPECT_EQ(ReasonNamed(""), Reason::INTERNAL);
  EXPECT_EQ(ReasonNamed("no_space"), Reason::INTERNAL);
}

// --- Statuses carry it

TEST(MakeErrorTest, CarriesReasonCodeAndText) {
  for (const ErrorInfo& row : AllErrors()) {
    const absl::Status status = MakeError(row.reason, "offset ", Offset{7}, " is out");
    EXPECT_EQ(ReasonOf(status), row.reason);
    EXPECT_EQ(status.code(), row.code);
    EXPECT_EQ(status.message(), "offset 7 is out");
  }
}

TEST(ReasonOfTest, IsOkForOkAndInternalForForeignStatuses) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), Reason::OK);
  EXPECT_EQ(ReasonOf(absl::NotFoundError("from elsewhere")), Reason::INTERNAL);
}

TEST(AddContextTest, PutsTextInFrontAndKeepsTheRest) {
  const absl::Status status = AddContext(MakeError(Reason::NO_SPACE, "full"), "journal 7");
  EXPECT_EQ(status.message(), "journal 7: full");
  EXPECT_EQ(ReasonOf(status), Reason::NO_SPACE);
  EXPECT_EQ(status.code(), InfoOf(Reason::NO_SPACE).code);
  EXPECT_EQ(AddContext(absl::OkStatus(), "journal 7"), absl::OkStatus());
  const absl::Status foreign = AddContext(absl::NotFoundError("gone"), "file");
  EXPECT_TRUE(absl::IsNotFound(foreign));
  EXPECT_EQ(foreign.message(), "file: gone");
}

absl::StatusOr<int> Twice(const absl::StatusOr<int>& n) {
  VARVE_ASSIGN_OR_RETURN(const int once, absl::StatusOr<int>(n));
  VARVE_ASSIGN_OR_RETURN(const int again, absl::StatusOr<int>(n));
  return once + again;
}

absl::Status Both(const absl::Status& first, const absl::Status& second) {
  VARVE_RETURN_IF_ERROR(first);
  VARVE_RETURN_IF_ERROR(second);
  return absl::OkStatus();
}

TEST(ErrorMacrosTest, ReturnTheFirstError) {
  EXPECT_EQ(*Twice(21), 42);
  EXPECT_EQ(ReasonOf(Twice(MakeError(Reason::NO_SPACE, "full")).status()), Reason::NO_SPACE);
  EXPECT_EQ(Both(absl::OkStatus(), absl::OkStatus()), absl::OkStatus());
  EXPECT_EQ(Both(absl::OkStatus(), absl::NotFoundError("b")), absl::NotFoundError("b"));
  EXPECT_EQ(Both(absl::AbortedError("a"), absl::NotFoundError("b")), absl::AbortedError("a"));
}

}  // namespace
}  // namespace varve
