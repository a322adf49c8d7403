// ReplicaReports: what replicas tell the controller.
#ifndef VARVE_SERVER_PARTITION_REPLICA_REPORTS_H_
#define VARVE_SERVER_PARTITION_REPLICA_REPORTS_H_

#include "server/service/peer_service.h"

namespace varve::server {

// Thread-safe. A report is passed on until the controller has taken it, so one that is made twice
// does no harm; what is not true any more may still be told.
class ReplicaReports {
 public:
  virtual ~ReplicaReports() = default;
  virtual void Tell(ReplicaReport report) = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_REPLICA_REPORTS_H_
