// Every scenario of tests/raft/scenarios against its recorded trace, and what a script refuses.
//
// VARVE_RERECORD=1 writes the traces anew, but only of scenarios whose `expect`s all hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/raft/script/script.h"

namespace varve::raft {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int exit_code;
  std::string output;
};

Outcome RunScript(const std::string& text) {
  std::istringstream in(text);
  std::ostringstream out;
  const int exit_code = Script().Run(in, out);
  return {exit_code, out.str()};
}

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(VARVE_RAFT_SCENARIOS)) {
    if (file.path().extension() == ".raft") names.push_back(file.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, GivesItsTrace) {
  const std::filesystem::path path = std::filesystem::path(VARVE_RAFT_SCENARIOS) / GetParam();
  const std::string text = ReadFile(path.string() + ".raft");
  EXPECT_NE(text.find("\nexpect "), std::string::npos) << "a scenario says what must hold";
  const Outcome outcome = RunScript(text);
  ASSERT_EQ(outcome.exit_code, Script::kDone) << outcome.output;
  if (std::getenv("VARVE_RERECORD") != nullptr) {
    std::ofstream(path.string() + ".trace") << outcome.output;
  }
  EXPECT_EQ(outcome.output, ReadFile(path.string() + ".trace"));
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioTest, testing::ValuesIn(ScenarioNames()),
                         [](const auto& tested) { return tested.param; });

TEST(ScriptTest, RefusesBadCommandsWithExitCodeTwo) {
  for (const char* bad : {"nonsense",
                          "nodes",
                          "nodes 0",
                          "nodes 100",
                          "nodes 1 2",
                          "nodes 1 index=x",
                          "nodes 1 colour=red",
                          "nodes 1 index=1 index=2",
                          "nodes 1 voters=a",
                          "nodes 1 voters=",
                          "nodes 1 learners=1",
                          "nodes 2 voters=1,2 learners=2",
                          "nodes 1\ncampaign 1 2",
                          "state",
                          "nodes 1\nnodes 1",
                          "nodes 1\ntick 2",
                          "nodes 1\ntick 1 n=-1",
                          "nodes 1\ndisk 1 melt",
                          "nodes 1\ndisk 1 all n=1",
                          "nodes 1\npropose 1 records=0",
                          "nodes 1\npropose 1 records=1001",
                          "nodes 1\npropose-config 1",
                          "nodes 1\npropose-config 1 add-voter=2:0",
                          "nodes 1\nexpect 1",
                          "nodes 1\nexpect 1 no.such=1",
                          "nodes 1\nexpect 1 results.0=x"}) {
    const Outcome outcome = RunScript(bad);
    EXPECT_EQ(outcome.exit_code, Script::kBadCommand) << bad;
    const size_t last_line = outcome.output.find("{\"error\":\"");
    EXPECT_NE(last_line, std::string::npos) << bad << "\n" << outcome.output;
  }
}

TEST(ScriptTest, AFailedExpectEndsWithExitCodeOne) {
  const Outcome outcome = RunScript("nodes 1\nexpect 1 term=7 role=follower\nstate\n");
  EXPECT_EQ(outcome.exit_code, Script::kExpectFailed);
  EXPECT_TRUE(outcome.output.ends_with("{\"error\":\"node 1: term is '0', not '7'\"}\n"))
      << outcome.output;
}

TEST(ScriptTest, ExpectTakesAListAsItIsPrinted) {
  const Outcome outcome = RunScript(
      "nodes 3 learners=3\nexpect 1 config.voters=1,2\nexpect 1 config.voters=[1,2]\n"
      "expect 1 config.outgoing=\nexpect 1 config.outgoing=[]\n");
  EXPECT_EQ(outcome.exit_code, Script::kDone) << outcome.output;
}

TEST(ScriptTest, DiskAloneFinishesTheOldestOperation) {
  const Outcome outcome = RunScript(
      "nodes 1\ndisk 1 hold\ncampaign 1\nexpect 1 role=candidate\ndisk 1\n"
      "expect 1 role=leader commit=0\ndisk 1\nexpect 1 commit=1\n");
  EXPECT_EQ(outcome.exit_code, Script::kDone) << outcome.output;
}

TEST(ScriptTest, CommentsAndEmptyLinesPrintNothing) {
  const Outcome outcome = RunScript("# a story\n\nnodes 1  # one voter\n   \n");
  EXPECT_EQ(outcome.exit_code, Script::kDone);
  EXPECT_EQ(outcome.output,
            R"({"cmd":"nodes 1","nodes":[{"id":1,"epoch":1,"role":"follower","term":0,"vote":0,)"
            R"("leader":0,"commit":0,"applied":0,"first":1,)"
            R"("last":{"index":0,"term":0,"offset":-1},"durable":0,)"
            R"("config":{"voters":[1],"outgoing":[],"learners":[],"learners_next":[],)"
            R"("auto_leave":false},"progress":[],"results":[]}],"inflight":[]})"
            "\n");
}

}  // namespace
}  // namespace varve::raft
