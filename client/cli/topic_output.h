// What `varve topic` prints. Pure: descriptions in, text out. docs/cli.md documents the JSON.
#ifndef VARVE_CLIENT_CLI_TOPIC_OUTPUT_H_
#define VARVE_CLIENT_CLI_TOPIC_OUTPUT_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "varve/admin.h"

namespace varve::cli {

// One row, array element or line for each topic.
std::string RenderTopicList(const std::vector<TopicDescription>& topics, OutputFormat format,
                            bool bold);
// A section for each topic: its settings, then its partitions. JSON: the same objects as in the
// list, with "partitions".
std::string RenderTopicDescriptions(const std::vector<TopicDescription>& topics,
                                    OutputFormat format, bool bold);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_TOPIC_OUTPUT_H_
