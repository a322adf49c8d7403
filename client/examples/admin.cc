// Creates a topic, describes it, lists all topics, deletes it: admin HOST:PORT TOPIC
#include <varve/varve.h>

#include <iostream>

namespace {

int Fail(const varve::Status& status) {
  std::cerr << status.ToString() << "\n";
  return status.outcome() == varve::RequestOutcome::kUnknown ? 7 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: admin HOST:PORT TOPIC\n";
    return 2;
  }
  auto client = varve::Client::Create({.bootstrap = {argv[1]}, .client_id = "example-admin"});
  if (!client.ok()) return Fail(client.status());
  varve::Admin admin(*client);

  auto features = admin.GetFeatures();
  if (!features.ok()) return Fail(features.status());
  std::cout << "broker of version " << features->version << "\n";

  auto topic = admin.CreateTopic({.name = argv[2], .partitions = 4});
  if (!topic.ok()) return Fail(topic.status());
  std::cout << "created " << topic->name << " with " << topic->partition_count << " partitions\n";

  auto ends = admin.ListOffsets(
      {{{argv[2], 0}, varve::StartPosition::Start()}, {{argv[2], 0}, varve::StartPosition::End()}});
  if (!ends.ok()) return Fail(ends.status());
  if (!(*ends)[1].status.ok()) return Fail((*ends)[1].status);
  std::cout << "partition 0 holds " << (*ends)[1].offset - (*ends)[0].offset << " records\n";

  auto all = admin.ListTopics();
  if (!all.ok()) return Fail(all.status());
  for (const varve::TopicDescription& each : *all) std::cout << "topic " << each.name << "\n";

  if (varve::Status status = admin.DeleteTopic(argv[2]); !status.ok()) return Fail(status);
  std::cout << "deleted " << argv[2] << "\n";
  return 0;
}
