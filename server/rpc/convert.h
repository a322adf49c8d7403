// Between the messages of varve.v1 and the structs of the in-process service, field by field.
#ifndef VARVE_SERVER_RPC_CONVERT_H_
#define VARVE_SERVER_RPC_CONVERT_H_

#include "absl/status/statusor.h"
#include "server/service/messages.h"
#include "server/service/status_messages.h"
#include "varve/v1/cluster.pb.h"
#include "varve/v1/log.pb.h"
#include "varve/v1/topic.pb.h"

namespace varve::server {

// Requests: hostile. INVALID_REQUEST names the field.
absl::StatusOr<ProduceRequest> FromProto(const varve::v1::ProduceRequest& in);
absl::StatusOr<FetchRequest> FromProto(const varve::v1::FetchRequest& in);
absl::StatusOr<ListOffsetsRequest> FromProto(const varve::v1::ListOffsetsRequest& in);
absl::StatusOr<DeleteRecordsRequest> FromProto(const varve::v1::DeleteRecordsRequest& in);
absl::StatusOr<CreateTopicRequest> FromProto(const varve::v1::CreateTopicRequest& in);
absl::StatusOr<GetTopicRequest> FromProto(const varve::v1::GetTopicRequest& in);
absl::StatusOr<ListTopicsRequest> FromProto(const varve::v1::ListTopicsRequest& in);
// INVALID_REQUEST unless it is empty or has the length of an id.
absl::Status ReadTopicId(const std::string& in, std::optional<TopicId>* out);
absl::StatusOr<AddPartitionsRequest> FromProto(const varve::v1::AddPartitionsRequest& in);
absl::StatusOr<MovePartitionRequest> FromProto(const varve::v1::MovePartitionRequest& in);
absl::StatusOr<TransferLeaderRequest> FromProto(const varve::v1::TransferLeaderRequest& in);
absl::StatusOr<SetBrokerDutyRequest> FromProto(const varve::v1::SetBrokerDutyRequest& in);
absl::StatusOr<AlterTopicRequest> FromProto(const varve::v1::AlterTopicRequest& in);
absl::StatusOr<DeleteTopicRequest> FromProto(const varve::v1::DeleteTopicRequest& in);
absl::StatusOr<GetFeaturesRequest> FromProto(const varve::v1::GetFeaturesRequest& in);
absl::StatusOr<GetClusterRequest> FromProto(const varve::v1::GetClusterRequest& in);
absl::StatusOr<ConfirmClockRequest> FromProto(const varve::v1::ConfirmClockRequest& in);
absl::StatusOr<DescribeBrokerRequest> FromProto(const varve::v1::DescribeBrokerRequest& in);
absl::StatusOr<DescribePartitionsRequest> FromProto(const varve::v1::DescribePartitionsRequest& in);
absl::StatusOr<Position> FromProto(const varve::v1::Position& in);
absl::StatusOr<Acks> FromProto(varve::v1::Acks in);
absl::StatusOr<Isolation> FromProto(varve::v1::Isolation in);

void ToProto(const ProduceReply& in, varve::v1::ProduceReply* out);
void ToProto(const FetchReply& in, varve::v1::FetchReply* out);
void ToProto(const ListOffsetsReply& in, varve::v1::ListOffsetsReply* out);
void ToProto(const DeleteRecordsReply& in, varve::v1::DeleteRecordsReply* out);
void ToProto(const TopicInfo& in, varve::v1::CreateTopicReply* out);
void ToProto(const TopicInfo& in, varve::v1::AlterTopicReply* out);
void ToProto(const TopicInfo& in, varve::v1::AddPartitionsReply* out);
void ToProto(const MovePartitionReply& in, varve::v1::MovePartitionReply* out);
void ToProto(const TransferLeaderReply& in, varve::v1::TransferLeaderReply* out);
void ToProto(const SetBrokerDutyReply& in, varve::v1::SetBrokerDutyReply* out);
void ToProto(const TopicInfo& in, varve::v1::GetTopicReply* out);
void ToProto(const ListTopicsReply& in, varve::v1::ListTopicsReply* out);
void ToProto(const DeleteTopicReply& in, varve::v1::DeleteTopicReply* out);
void ToProto(const GetFeaturesReply& in, varve::v1::GetFeaturesReply* out);
void ToProto(const GetClusterReply& in, varve::v1::GetClusterReply* out);

void ToProto(const ConfirmClockReply& in, varve::v1::ConfirmClockReply* out);
void ToProto(const DescribeBrokerReply& in, varve::v1::DescribeBrokerReply* out);
void ToProto(const DescribePartitionsReply& in, varve::v1::DescribePartitionsReply* out);

std::string IdBytes(const TopicId& id);
// Payloads of Data entries, one after another.
std::string JoinBatches(const std::vector<Entry>& entries);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_CONVERT_H_
