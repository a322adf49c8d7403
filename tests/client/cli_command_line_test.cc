// The tree of commands: help is complete, examples parse, mistakes are explained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include <cstdlib>

#include "client/cli/command_line.h"

namespace varve::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Leaf {
  std::string path;
  std::string description;
  std::vector<std::string> examples;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Leaf>& leaves) {
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) Collect(*child, path + " " + child->get_name(), leaves);
  if (!children.empty()) return;
  Leaf leaf{.path = path, .description = app.get_description()};
  std::istringstream footer(app.get_footer());
  for (std::string line; std::getline(footer, line);) {
    if (line.starts_with("  ")) leaf.examples.push_back(line.substr(2));
  }
  leaves.push_back(std::move(leaf));
}

std::vector<Leaf> Leaves() {
  const CommandLine command_line;
  std::vector<Leaf> leaves;
  Collect(command_line.app(), "varve", leaves);
  return leaves;
}

// Words of a command up to a pipe or redirection; quotes as in a shell, without escapes.
std::vector<std::string> ShellWords(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool open = false, quoted = false;
  const auto end_word = [&] {
    if (open) words.push_back(word);
    word.clear();
    open = false;
  };
  for (char c : line) {
    if (c == '\'') {
      quoted = !quoted;
      open = true;
    } else if (!quoted && (c == '|' || c == '<' || c == '>')) {
      break;
    } else if (!quoted && c == ' ') {
      end_word();
    } else {
      word += c;
      open = true;
    }
  }
  end_word();
  return words;
}

CommandLine::Parsed Parse(CommandLine& command_line, const std::vector<std::string>& words) {
  std::vector<const char*> argv;
  argv.reserve(words.size());
  for (const std::string& word : words) argv.push_back(word.c_str());
  return command_line.Parse(static_cast<int>(argv.size()), argv.data());
}

TEST(HelpTest, EveryCommandHasADescriptionAndTwoExamples) {
  const std::vector<Leaf> leaves = Leaves();
  EXPECT_EQ(leaves.size(), 24u);
  for (const Leaf& leaf : leaves) {
    EXPECT_FALSE(leaf.description.empty()) << leaf.path;
    EXPECT_GE(leaf.examples.size(), 2u) << leaf.path;
    for (const std::string& example : leaf.examples)
      EXPECT_THAT(example + " ", StartsWith(leaf.path + " "));
  }
}

TEST(HelpTest, EveryExampleParses) {
  for (const Leaf& leaf : Leaves()) {
    for (const std::string& example : leaf.examples) {
      CommandLine command_line;
      const CommandLine::Parsed parsed = Parse(command_line, ShellWords(example));
      EXPECT_TRUE(parsed.run) << example << ": " << parsed.error.ToString();
    }
  }
}

TEST(HelpTest, EveryOptionIsDescribedAndHelpAsksNobody) {
  for (const Leaf& leaf : Leaves()) {
    CommandLine command_line;
    std::vector<std::string> words = ShellWords(leaf.path);
    words.push_back("--help");
    const CommandLine::Parsed parsed = Parse(command_line, words);
    EXPECT_FALSE(parsed.run);
    EXPECT_EQ(parsed.exit_code, 0) << leaf.path;
    EXPECT_THAT(parsed.out, HasSubstr(leaf.path + " "));
    EXPECT_THAT(parsed.out, HasSubstr("--server"));
    EXPECT_THAT(parsed.out, HasSubstr("Examples:"));
    const CLI::App* app = &command_line.app();
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    for (const CLI::Option* option : app->get_options())
      EXPECT_FALSE(option->get_description().empty()) << leaf.path << " " << option->get_name();
  }
}

TEST(HelpTest, VersionIsPrinted) {
  CommandLine command_line;
  const CommandLine::Parsed parsed = Parse(command_line, {"varve", "--version"});
  EXPECT_EQ(parsed.exit_code, 0);
  EXPECT_THAT(parsed.out, StartsWith("varve "));
}

TEST(UsageTest, MistakesExitWithTwoAndNameTheHelp) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"varve"}, "See varve --help"},
      {{"varve", "topik"}, "See varve --help"},
      {{"varve", "topic"}, "See varve topic --help"},
      {{"varve", "topic", "create"}, "See varve topic create --help"},
      {{"varve", "topic", "create", "a", "--partitions", "many"}, "See varve topic create --help"},
      {{"varve", "topic", "create", "a", "--segment-bytes", "64Mi"}, "64MiB"},
      {{"varve", "consume", "a", "-o", "yaml"}, "See varve consume --help"},
      {{"varve", "consume", "a", "--timeout", "10"}, "10s"},
      {{"varve", "produce", "a", "--compress", "rar"}, "zstd"},
      {{"varve", "perf", "produce", "--rate", "-5"}, "See varve perf produce --help"},
  };
  for (const auto& [words, text] : cases) {
    CommandLine command_line;
    const CommandLine::Parsed parsed = Parse(command_line, words);
    EXPECT_FALSE(parsed.run) << words.back();
    EXPECT_EQ(parsed.exit_code, kExitUsage) << words.back();
    EXPECT_EQ(parsed.error.reason(), "INVALID_REQUEST");
    EXPECT_THAT(parsed.error.ToString(), HasSubstr(text)) << words.back();
  }
}

TEST(UsageTest, MistakesThatOnlyTheCommandSeesAskNoBroker) {
  const std::vector<std::vector<std::string>> cases = {
      {"varve", "topic", "create", "a", "--max-batch-bytes", "8GiB"},
      {"varve", "produce", "a", "x", "-H", "=v"},
      {"varve", "produce", "a", "x", "-k", "k", "--key-separator", ":"},
      {"varve", "produce", "a", "x", "--key-separator", "\\q"},
      {"varve", "consume", "a", "--from", "yesterday"},
      {"varve", "consume", "a", "-f", "%q"},
      {"varve", "consume", "a", "-f", "%v", "-o", "jsonl"},
      {"varve", "perf", "produce", "--size", "0"},
      {"varve", "perf", "fsync", "--size", "1GiB"},
  };
  for (const std::vector<std::string>& words : cases) {
    CommandLine command_line;
    ASSERT_TRUE(Parse(command_line, words).run) << words.back();
    const CommandEnd end = command_line.Run();
    EXPECT_EQ(end.exit_code, kExitUsage) << words.back() << ": " << end.error.ToString();
  }
}

TEST(GlobalOptionsTest, FlagComesBeforeTheEnvironment) {
  ASSERT_EQ(setenv("VARVE_SERVER", "there:1", 1), 0);
  CommandLine from_environment;
  ASSERT_TRUE(Parse(from_environment, {"varve", "topic", "list"}).run);
  EXPECT_EQ(from_environment.context().options.server, "there:1");
  CommandLine from_flag;
  ASSERT_TRUE(Parse(from_flag, {"varve", "-s", "here:2", "topic", "list"}).run);
  EXPECT_EQ(from_flag.context().options.server, "here:2");
  unsetenv("VARVE_SERVER");
  CommandLine from_default;
  ASSERT_TRUE(Parse(from_default, {"varve", "topic", "list", "--timeout", "250ms"}).run);
  EXPECT_EQ(from_default.context().options.server, "localhost:9640");
  EXPECT_EQ(TimeoutOf(from_default.context().options), std::chrono::milliseconds(250));
}

TEST(CommandTextTest, CanBePastedIntoAShell) {
  CommandLine command_line;
  ASSERT_TRUE(Parse(command_line, {"varve", "consume", "a", "-f", "it's %v\\n"}).run);
  EXPECT_EQ(command_line.context().command_text, "varve consume a -f 'it'\\''s %v\\n'");
}

}  // namespace
}  // namespace varve::cli
