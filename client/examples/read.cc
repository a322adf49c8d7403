// Prints the records that a topic has now: read HOST:PORT TOPIC
#include <varve/varve.h>

#include <chrono>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: read HOST:PORT TOPIC\n";
    return 2;
  }
  constexpr std::chrono::seconds kPatience{10};
  auto client = varve::Client::Create({.bootstrap = {argv[1]}, .client_id = "example-read"});
  if (!client.ok()) {
    std::cerr << client.status().ToString() << "\n";
    return 2;
  }
  auto reader = varve::Reader::Create(*client);
  varve::Status status = reader->AssignTopic(argv[2], varve::StartPosition::Start(), kPatience);
  if (status.ok()) status = reader->StopAtEnd(kPatience);
  if (!status.ok()) {
    std::cerr << status.ToString() << "\n";
    return 1;
  }

  uint64_t count = 0;
  while (!reader->AtStop()) {
    auto records = reader->Poll(kPatience);
    if (!records.ok() || (records->empty() && !reader->AtStop())) {
      std::cerr << (records.ok() ? "nothing came for 10 s" : records.status().ToString()) << "\n";
      return 1;
    }
    for (const varve::ReadRecord& record : *records) {
      std::cout << record.partition << ":" << record.offset << " " << record.key.value_or("-")
                << "=" << record.value.value_or("(deleted)") << "\n";
    }
    count += records->size();
  }
  std::cout << count << " records\n";
  return 0;
}
