// LocalService: where replicas are and which of them leads. Goals are the controller's.
#include <utility>

#include "common/error.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

// `answer` with an empty reply, or why not.
template <class T>
absl::AnyInvocable<void(absl::Status)> AnswerDone(std::shared_ptr<PendingReply<T>> answer) {
  return [answer = std::move(answer)](absl::Status status) {
    if (!status.ok()) return answer->Answer(std::move(status));
    answer->Answer(T{});
  };
}

}  // namespace

void LocalService::MovePartition(RequestContext context, MovePartitionRequest request,
                                 Reply<MovePartitionReply> reply) {
  auto pending =
      Admit(context, Rpc::kMovePartition, 0, request.required_features, std::move(reply));
  if (!pending) return;
  WithController(std::move(pending),
                 [request = std::move(request)](Controller& controller, auto answer) mutable {
                   controller.MovePartition(std::move(request), AnswerDone(std::move(answer)));
                 });
}

void LocalService::SetBrokerDuty(RequestContext context, SetBrokerDutyRequest request,
                                 Reply<SetBrokerDutyReply> reply) {
  auto pending =
      Admit(context, Rpc::kSetBrokerDuty, 0, request.required_features, std::move(reply));
  if (!pending) return;
  WithController(std::move(pending),
                 [request = std::move(request)](Controller& controller, auto answer) mutable {
                   controller.SetBrokerDuty(std::move(request), AnswerDone(std::move(answer)));
                 });
}

void LocalService::TransferLeader(RequestContext context, TransferLeaderRequest request,
                                  Reply<TransferLeaderReply> reply) {
  auto pending =
      Admit(context, Rpc::kTransferLeader, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const auto group = parts_.catalogue.FindGroup(request.topic, request.partition);
  const bool possible = group.ok() && (parts_.ask_to_lead || request.to == parts_.self);
  if (!possible || !parts_.ask_to_lead) {
    absl::Status status = group.status();
    if (status.ok() && !possible)
      status = MakeError(Reason::UNKNOWN_BROKER, "node ", request.to,
                         " is no broker of the cluster: this one is alone");
    return parts_.host.ShardOf(kMetadataGroup)
        .Post([done = AnswerDone(std::move(pending)), status]() mutable { done(status); });
  }
  parts_.ask_to_lead({*group, request.to},
                     [done = AnswerDone(std::move(pending))](
                         const absl::StatusOr<TransferReply>& got) mutable { done(got.status()); });
}

}  // namespace varve::server
