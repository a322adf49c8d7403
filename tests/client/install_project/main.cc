// The installed client beside a full copy of the same messages: both must work in one process.
#include <google/protobuf/descriptor.h>
#include <varve/varve.h>

#include <chrono>
#include <iostream>

#include "varve/v1/error.pb.h"
#include "varve/v1/log.pb.h"

int main() {
  const auto fail = [](const std::string& what) {
    std::cerr << "FAILED: " << what << "\n";
    return 1;
  };
  varve::v1::ProduceRequest request;
  request.set_topic("t");
  request.add_items()->set_batch(std::string(1'000, 'b'));
  varve::v1::ProduceRequest copy;
  if (!copy.ParseFromString(request.SerializeAsString())) return fail("full messages do not parse");
  if (request.GetDescriptor()->full_name() != "varve.v1.ProduceRequest") return fail("descriptor");
  varve::v1::Status error;
  if (!error.add_details()->PackFrom(request)) return fail("Any of the full messages");

  using std::chrono::milliseconds;
  auto client = varve::Client::Create({.bootstrap = {"127.0.0.1:1"},
                                       .retry_backoff = milliseconds(1),
                                       .retry_backoff_max = milliseconds(5)});
  if (!client.ok()) return fail(client.status().ToString());
  varve::Admin admin(*client);
  const varve::Status listed = admin.ListTopics().status();
  if (listed.reason() != "UNAVAILABLE" || !listed.retryable()) return fail(listed.ToString());

  auto producer = varve::Producer::Create(*client, {.delivery_timeout = milliseconds(100)});
  const varve::Status sent = producer->SendSync({.topic = "t", .value = "v"}).status();
  if (sent.reason() != "DEADLINE_EXCEEDED") return fail(sent.ToString());
  if (sent.outcome() != varve::RequestOutcome::kNotApplied) return fail("outcome");
  auto reader = varve::Reader::Create(*client);
  if (!reader->Assign({{{"t", 0}, varve::StartPosition::Start()}}).ok()) return fail("assign");
  reader->Close();
  std::cout << request.ShortDebugString().size()
            << " bytes shown; client says: " << listed.ToString() << "\n";
  return 0;
}
