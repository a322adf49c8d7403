// Sends lines of standard input to a topic: produce HOST:PORT TOPIC < lines
// A line "key=value" is a keyed record. Prints how many records are durable.
#include <varve/varve.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: produce HOST:PORT TOPIC\n";
    return 2;
  }
  const std::string topic = argv[2];
  auto client = varve::Client::Create({.bootstrap = {argv[1]}, .client_id = "example-produce"});
  if (!client.ok()) {
    std::cerr << client.status().ToString() << "\n";
    return 2;
  }
  auto producer = varve::Producer::Create(*client, {.compression = varve::Compression::kLz4});
  if (!producer.ok()) {
    std::cerr << producer.status().ToString() << "\n";
    return 2;
  }

  std::atomic<uint64_t> durable = 0;
  std::atomic<uint64_t> failed = 0;
  const auto on_delivery = [&](const varve::DeliveryReport& report) {
    if (report.status.ok()) {
      ++durable;
    } else if (failed++ == 0) {
      std::cerr << report.status.ToString() << "\n";
    }
  };
  for (std::string line; std::getline(std::cin, line);) {
    varve::ProducerRecord record{.topic = topic, .value = line};
    if (const size_t equals = line.find('='); equals != std::string::npos) {
      record.key = std::string_view(line).substr(0, equals);
      record.value = std::string_view(line).substr(equals + 1);
    }
    // The bytes are copied; Send waits when 32 MiB are on their way.
    if (varve::Status status = producer->Send(record, on_delivery); !status.ok()) {
      std::cerr << status.ToString() << "\n";
      return 1;
    }
  }
  if (varve::Status status = producer->Close(std::chrono::seconds(30)); !status.ok()) {
    std::cerr << status.ToString() << "\n";
    return 1;
  }
  std::cout << durable << " records are durable\n";
  return failed == 0 ? 0 : 1;
}
