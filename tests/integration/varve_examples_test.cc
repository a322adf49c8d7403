// The examples of the client library, and the Python one without it, against a real broker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/support/run_program.h"
#include "tests/integration/support/test_broker.h"

namespace varve::testing {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

TEST(Examples, DoWhatTheySay) {
  TestBroker broker;
  ASSERT_TRUE(broker.Start());
  const RunResult admin = RunProgram({VARVE_EXAMPLE_ADMIN, broker.address(), "shown"});
  EXPECT_EQ(admin.exit_code, 0) << admin;
  EXPECT_THAT(admin.out, HasSubstr("created shown with 4 partitions"));
  EXPECT_THAT(admin.out, HasSubstr("deleted shown"));

  const std::string topic = "from-python";
  const RunResult python =
      RunProgram({"/usr/bin/python3", VARVE_EXAMPLE_PYTHON, broker.address(), topic},
                 {.timeout = seconds(60)});
  ASSERT_EQ(python.exit_code, 0) << python;

  // Appends to the topic that Python made, and reads everything back.
  std::string lines;
  for (int i = 0; i < 500; ++i)
    lines += "key-" + std::to_string(i) + "=value-" + std::to_string(i) + "\n";
  const RunResult produce =
      RunProgram({VARVE_EXAMPLE_PRODUCE, broker.address(), topic}, {.input = lines});
  EXPECT_EQ(produce.exit_code, 0) << produce;
  EXPECT_THAT(produce.out, HasSubstr("500 records are durable"));
  const RunResult read = RunProgram({VARVE_EXAMPLE_READ, broker.address(), topic});
  EXPECT_EQ(read.exit_code, 0) << read;
  EXPECT_THAT(read.out, HasSubstr("503 records"));
  EXPECT_THAT(read.out, HasSubstr("key-0=value-0"));
  EXPECT_THAT(read.out, HasSubstr("0:502 key-499=value-499"));

  const RunResult missing = RunProgram({VARVE_EXAMPLE_READ, broker.address(), "nowhere"});
  EXPECT_EQ(missing.exit_code, 1) << missing;
  EXPECT_THAT(missing.err, HasSubstr("UNKNOWN_TOPIC"));
  broker.StopCleanly();
}

}  // namespace
}  // namespace varve::testing
