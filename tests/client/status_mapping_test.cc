#include "client/core/status_mapping.h"

#include <gtest/gtest.h>

#include "client_wire/error.pb.h"

namespace varve::client {
namespace {

wire::Status Wire(int code, const std::string& reason,
                  const std::map<std::string, std::string>& metadata) {
  wire::ErrorInfo info;
  info.set_reason(reason);
  for (const auto& [key, value] : metadata) (*info.mutable_metadata())[key] = value;
  wire::Status status;
  status.set_code(code);
  status.set_message("why");
  wire::Any* detail = status.add_details();
  detail->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  detail->set_value(info.SerializeAsString());
  return status;
}

TEST(StatusMappingTest, ABrokersWordOnOutcomeAndRetryingIsTaken) {
  const Status status = FromWire(Wire(9, "NOT_LEADER",
                                      {{"outcome", "NOT_APPLIED"},
                                       {"retryable", "true"},
                                       {"advice", "go there"},
                                       {"leader_address", "b2:9640"}}));
  EXPECT_EQ(status.reason(), "NOT_LEADER");
  EXPECT_EQ(status.message(), "why");
  EXPECT_EQ(status.advice(), "go there");
  EXPECT_TRUE(status.retryable());
  EXPECT_EQ(status.outcome(), RequestOutcome::kNotApplied);
  EXPECT_EQ(status.Detail("leader_address"), "b2:9640");
}

TEST(StatusMappingTest, AReasonOfANewerBrokerIsKept) {
  const Status status = FromWire(Wire(8, "QUOTA_OF_TOMORROW", {{"retryable", "true"}}));
  EXPECT_EQ(status.reason(), "QUOTA_OF_TOMORROW");
  EXPECT_TRUE(status.retryable());
  EXPECT_EQ(status.outcome(), RequestOutcome::kUnknown) << "a missing outcome is unknown";
}

TEST(StatusMappingTest, ACallsDetailsSayMoreThanItsCode) {
  RpcStatus rpc{5, "no",
                Wire(5, "UNKNOWN_TOPIC", {{"outcome", "NOT_APPLIED"}}).SerializeAsString()};
  EXPECT_EQ(FromRpc(rpc, "b:1").reason(), "UNKNOWN_TOPIC");
  rpc.details = "garbage \xff\xff";
  EXPECT_EQ(FromRpc(rpc, "b:1").reason(), "INTERNAL");
}

TEST(StatusMappingTest, ErrorsWithoutReasonAreNamedByTheirCode) {
  const std::pair<int, const char*> rows[] = {
      {1, "CANCELLED"},         {3, "INVALID_REQUEST"},      {4, "DEADLINE_EXCEEDED"},
      {8, "REQUEST_TOO_LARGE"}, {12, "UNSUPPORTED_FEATURE"}, {13, "INTERNAL"},
      {14, "UNAVAILABLE"},      {16, "UNAUTHENTICATED"}};
  for (const auto& [code, reason] : rows) {
    const Status status = FromRpc({code, "text", ""}, "b:1");
    EXPECT_EQ(status.reason(), reason);
    EXPECT_EQ(status.message(), "broker b:1: text");
  }
  EXPECT_TRUE(FromRpc({0, "", ""}, "b:1").ok());
}

TEST(StatusMappingTest, DetailsSurviveAChangeOfOutcome) {
  const Status status = WithOutcome(
      WithDetails(Error(Reason::OVERLOADED, "full"), {{"topic", "t"}}), RequestOutcome::kUnknown);
  EXPECT_EQ(status.Detail("topic"), "t");
  EXPECT_EQ(status.outcome(), RequestOutcome::kUnknown);
  EXPECT_EQ(status.ToString().find("OVERLOADED: full ("), 0u);
}

}  // namespace
}  // namespace varve::client
