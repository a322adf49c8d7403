// Short texts for parts of the report, the same in tables and JSON.
#ifndef VARVE_STORAGE_INSPECT_TEXT_H_
#define VARVE_STORAGE_INSPECT_TEXT_H_

#include <string>
#include <vector>

#include "storage/inspect.h"

namespace varve::storage {

std::string DescribeReplica(const ReplicaId& id);  // "node.epoch", "-" for none
std::string DescribeReplicas(const std::vector<ReplicaId>& ids);
std::string DescribeFrame(const InspectedFrame& frame);
std::string DescribeStep(const JournalStep& step);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_INSPECT_TEXT_H_
