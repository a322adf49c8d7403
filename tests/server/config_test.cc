#include "server/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "common/error.h"
#include "server/config/units.h"

namespace varve::server {
namespace {

using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(MessageOf(status)); }

absl::StatusOr<Config> Resolve(const std::string& yaml,
                               const std::map<std::string, std::string>& environment = {},
                               const std::vector<std::string>& flags = {}) {
  VARVE_ASSIGN_OR_RETURN(auto file, ReadConfigFile("varved.yaml", yaml));
  std::vector<std::string> unknown;
  auto variables = ReadEnvironment(environment, &unknown);
  std::vector<GivenValue> given;
  for (const std::string& flag : flags) {
    VARVE_ASSIGN_OR_RETURN(auto value, ReadFlag(flag));
    given.push_back(std::move(value));
  }
  VARVE_ASSIGN_OR_RETURN(
      Config config, Config::Resolve({std::move(file), std::move(variables), std::move(given)}));
  VARVE_RETURN_IF_ERROR(config.Check());
  return config;
}

TEST(Units, ParsesWhatPeopleWrite) {
  EXPECT_EQ(ParseBytes("64MiB"), 64 << 20);
  EXPECT_EQ(ParseBytes("64 MiB"), 64 << 20);
  EXPECT_EQ(ParseBytes("65536"), 65536);
  EXPECT_EQ(ParseBytes("2kB"), 2000);
  EXPECT_EQ(ParseDuration("5s"), 5'000'000'000);
  EXPECT_EQ(ParseDuration("500ms"), 500'000'000);
  EXPECT_EQ(ParseDuration("0"), 0);
  for (const char* bad : {"", "MiB", "-1", "1.5GiB", "64mib", "64 MiB x", "99999999999999999999",
                          "9999999TiB", " 1", "0x10"})
    EXPECT_EQ(ParseBytes(bad), std::nullopt) << bad;
  for (const char* bad : {"5", "5 sec", "s", "-5s", "300000d"})
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  for (const char* bad : {"", "5s", "5 ", "+5"}) EXPECT_EQ(ParseCount(bad), std::nullopt) << bad;
}

TEST(Units, FormatsWithTheLargestUnitThatDivides) {
  EXPECT_EQ(FormatBytes(64 << 20), "64MiB");
  EXPECT_EQ(FormatBytes(1025), "1025B");
  EXPECT_EQ(FormatDuration(1'500'000'000), "1500ms");
  EXPECT_EQ(FormatDuration(0), "0");
}

TEST(Settings, EveryDefaultIsAllowedAndEveryNameIsUnique) {
  std::set<std::string> names;
  for (const Setting& setting : AllSettings()) {
    if (!setting.required) {
      EXPECT_TRUE(ParseSetting(setting, setting.initial).ok()) << setting.key;
    }
    EXPECT_TRUE(names.insert(EnvironmentName(setting)).second) << setting.key;
    EXPECT_FALSE(setting.description.empty()) << setting.key;
    EXPECT_FALSE(DescribeAllowed(setting).empty()) << setting.key;
  }
}

TEST(Settings, AddressesAreParsedStrictly) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:9640")->port, 9640);
  EXPECT_EQ(ParseHostPort("[::1]:0")->host, "::1");
  EXPECT_EQ(FormatHostPort("::1", 5), "[::1]:5");
  for (const char* bad : {"", "9640", ":9640", "host:", "host:-1", "host:65536", "host:1x", "::1:5",
                          "a b:1", "a/b:1"})
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
}

TEST(Settings, LoopbackIsOnlyWhatThisMachineAloneReaches) {
  for (const char* host : {"127.0.0.1", "127.8.8.8", "::1", "localhost"})
    EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "127.evil.example", "localhost.example"})
    EXPECT_FALSE(IsLoopback(host)) << host;
}

TEST(Config, FlagWinsOverEnvironmentOverFileOverDefault) {
  const auto config = Resolve(
      "data_dir: /f\nnode_id: 2\nshards: 3\nlog.level: warn\n",
      {{"VARVE_SHARDS", "4"}, {"VARVE_LOG_LEVEL", "error"}, {"VARVE_CONFIG", "x"}, {"HOME", "/"}},
      {"--log-level=debug", "--drain_timeout=1s"});
  // A '-' stands for '_', never for '.'.
  ASSERT_FALSE(config.ok());
  const auto right = Resolve("data_dir: /f\nnode_id: 2\nshards: 3\nlog:\n  level: warn\n",
                             {{"VARVE_SHARDS", "4"}, {"VARVE_LOG_LEVEL", "error"}},
                             {"--log.level=debug", "--drain-timeout=1s"});
  ASSERT_TRUE(right.ok()) << right.status();
  EXPECT_EQ(right->Number("node_id"), 2);
  EXPECT_EQ(right->Number("shards"), 4);
  EXPECT_EQ(right->Text("log.level"), "debug");
  EXPECT_EQ(right->Number("drain_timeout"), 1'000'000'000);
  EXPECT_EQ(right->Number("storage.cache_bytes"), 32 << 20);
  const std::string shown = FormatConfig(*right);
  EXPECT_THAT(shown, HasSubstr("# varved.yaml:2\n"));
  EXPECT_THAT(shown, HasSubstr("# VARVE_SHARDS\n"));
  EXPECT_THAT(shown, HasSubstr("# --log.level\n"));
  EXPECT_THAT(shown, HasSubstr("# default\n"));
}

TEST(Config, PrintedConfigIsAFileThatReadsBackTheSame) {
  const auto config =
      Resolve("data_dir: /f\n", {},
              {"--grpc.address=[::1]:1", "--log.format=json", "--data_dir=/a \"b\" #c: \\"});
  ASSERT_TRUE(config.ok()) << config.status();
  const auto again = Resolve(FormatConfig(*config));
  ASSERT_TRUE(again.ok()) << again.status();
  for (size_t i = 0; i < config->entries().size(); ++i)
    EXPECT_EQ(again->entries()[i].value.text, config->entries()[i].value.text);
}

struct BadFile {
  const char* name;
  const char* yaml;
  std::vector<const char*> said;
};

class BadFiles : public testing::TestWithParam<BadFile> {};

TEST_P(BadFiles, AreRefusedWithPlaceAndAdvice) {
  const auto config = Resolve(GetParam().yaml);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(ReasonOf(config.status()), Reason::CONFIG_FILE_INVALID) << config.status();
  for (const char* text : GetParam().said) EXPECT_THAT(Message(config.status()), HasSubstr(text));
}

INSTANTIATE_TEST_SUITE_P(
    Config, BadFiles,
    testing::Values(
        BadFile{"Typo",
                "data_dir: /d\ngrpc:\n  adress: x\n",
                {"varved.yaml:3", "unknown key \"grpc.adress\"", "nearest is \"grpc.address\""}},
        BadFile{"TypoAtTop", "datadir: /d\n", {"varved.yaml:1", "nearest is \"data_dir\""}},
        BadFile{"Twice",
                "data_dir: /d\nshards: 1\nshards: 2\n",
                {"varved.yaml:3", "\"shards\" is given twice"}},
        BadFile{"TwiceInTwoForms",
                "data_dir: /d\nlog.level: info\nlog:\n  level: warn\n",
                {"varved.yaml:4", "\"log.level\" is given twice"}},
        BadFile{"NoValue", "data_dir:\n", {"varved.yaml:1", "has no value"}},
        BadFile{"List", "data_dir: [a, b]\n", {"varved.yaml:1", "no plain value"}},
        BadFile{"MapWhereValue", "data_dir:\n  x: 1\n", {"\"data_dir\" has no plain value"}},
        BadFile{"Syntax", "data_dir: /d\nlog: [\n", {"varved.yaml:", "not valid YAML"}},
        BadFile{"NotAMap", "hello\n", {"varved.yaml:1", "key: value"}},
        BadFile{"TwoDocuments", "data_dir: /d\n---\nshards: 1\n", {"2 YAML documents"}},
        BadFile{"Deep", "a: {b: {c: {d: {e: {f: 1}}}}}\n", {"unknown key"}},
        BadFile{"Unit",
                "data_dir: /d\nstorage.sync_interval: 5\n",
                {"varved.yaml:2", "storage.sync_interval is \"5\"", "such as 5s"}},
        BadFile{"Range",
                "data_dir: /d\njournal:\n  max_live_files: 1\n",
                {"varved.yaml:3", "a number from 2 to 1024"}},
        BadFile{"Choice", "data_dir: /d\nlog.format: xml\n", {"one of text, json"}},
        BadFile{"Flag", "data_dir: /d\nsecurity.allow_anonymous: yes\n", {"true or false"}},
        BadFile{"Control", "data_dir: \"/d\\0x\"\n", {"control characters"}},
        BadFile{"Missing", "shards: 1\n", {"data_dir is not set", "--data_dir=", "VARVE_DATA_DIR"}},
        BadFile{"Empty", "", {"data_dir is not set"}},
        BadFile{"OpenToTheWorld",
                "data_dir: /d\ngrpc.address: 0.0.0.0:9640\n",
                {"varved.yaml:2", "\"security.allow_anonymous: true\""}},
        BadFile{"HttpOpenToTheWorld",
                "data_dir: /d\nhttp.address: \"[::]:9644\"\n",
                {"http.address", "\"security.allow_anonymous: true\""}}),
    [](const auto& file) { return file.param.name; });

TEST(Config, BindBeyondLoopbackPassesWithTheLineThatTheErrorPrints) {
  EXPECT_TRUE(
      Resolve("data_dir: /d\ngrpc.address: 0.0.0.0:9640\nsecurity.allow_anonymous: true\n").ok());
}

TEST(Config, UnknownFlagsAndVariablesNameTheNearest) {
  EXPECT_THAT(Message(ReadFlag("--data_dri=/d").status()), HasSubstr("nearest is --data_dir"));
  EXPECT_THAT(Message(ReadFlag("--data_dir").status()), HasSubstr("--key=value"));
  std::vector<std::string> unknown;
  EXPECT_TRUE(ReadEnvironment({{"VARVE_DATADIR", "/d"}, {"VARVE_CONFIG", "c"}}, &unknown).empty());
  EXPECT_THAT(unknown, testing::ElementsAre(HasSubstr("nearest is VARVE_DATA_DIR")));
}

TEST(Config, ValuesFromFlagsAndVariablesNameTheirSource) {
  EXPECT_THAT(Message(Resolve("data_dir: /d\n", {}, {"--shards=x"}).status()),
              HasSubstr("--shards: shards is \"x\""));
  EXPECT_THAT(Message(Resolve("data_dir: /d\n", {{"VARVE_SHARDS", "-1"}}).status()),
              HasSubstr("VARVE_SHARDS: shards is \"-1\""));
}

TEST(Config, CommittedDocumentIsWhatTheTableSays) {
  std::ifstream file(VARVE_SOURCE_DIR "/docs/configuration.md");
  std::stringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), FormatConfigDocs())
      << "write it again: varved --print-config-docs > docs/configuration.md";
}

TEST(Config, AnnotatedExampleIsValidAndNamesEverySetting) {
  std::ifstream file(VARVE_SOURCE_DIR "/deploy/config/varved.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const auto config = Resolve(text.str());
  ASSERT_TRUE(config.ok()) << config.status();
  for (const Config::Entry& entry : config->entries())
    EXPECT_NE(entry.source, "default") << entry.setting->key;
}

}  // namespace
}  // namespace varve::server
