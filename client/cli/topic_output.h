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
// list, with "partitions". With a survey of their replicas the partitions' leaders speak for them;
// without, it is what one broker knows.
std::string RenderTopicDescriptions(const std::vector<TopicDescription>& topics,
                                    const PartitionSurvey* survey, OutputFormat format, bool bold);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_TOPIC_OUTPUT_H_
