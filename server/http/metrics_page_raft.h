// The /metrics page: series about Raft, the cluster and the links to other brokers.
#ifndef VARVE_SERVER_HTTP_METRICS_PAGE_RAFT_H_
#define VARVE_SERVER_HTTP_METRICS_PAGE_RAFT_H_

#include "server/http/metric_families.h"
#include "server/http/metrics_page.h"

namespace varve::server {

void AddRaft(MetricFamilies& page, const MetricsInput::BrokerPart& broker);
void AddPeers(MetricFamilies& page, const MetricsInput::BrokerPart& broker);

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_METRICS_PAGE_RAFT_H_
