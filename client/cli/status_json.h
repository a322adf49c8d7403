// What brokers say, as the JSON that programs read. docs/cli.md lists the fields; they only grow.
#ifndef VARVE_CLIENT_CLI_STATUS_JSON_H_
#define VARVE_CLIENT_CLI_STATUS_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

#include "client/cli/cluster_output.h"

namespace varve::cli {

using Json = nlohmann::ordered_json;

// With a line end; bytes that are no text are replaced.
std::string DumpJson(const Json& json, int indent);
// An array, or one object a line.
std::string DumpJson(const std::vector<Json>& objects, OutputFormat format);

Json ConditionJson(const Condition& condition);
Json BrokerJson(const BrokerStatus& broker, bool with_peers);
Json ReplicaJson(const ReplicaStatus& replica);
// What the leader says, and each replica of itself.
Json PartitionViewJson(const PartitionView& partition);
Json NodeJson(uint32_t node);  // null for 0

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_STATUS_JSON_H_
