// varve demo
#include <memory>

#include "client/cli/command_options.h"
#include "client/cli/demo_run.h"

namespace varve::cli {
namespace {

constexpr uint32_t kKills = 5;

CommandEnd Demo(const GlobalOptions& global, DemoOptions options, bool kill) {
  if (options.partitions == 0 || options.partitions > 100)
    return UsageError("--partitions is beyond 1 to 100", "Choose fewer.");
  if (options.rate == 0 || options.rate > 100'000)
    return UsageError("--rate is beyond 1 to 100000 records/s", "Choose another one.");
  if (kill && options.kills == 0) options.kills = kKills;
  DemoRun run(global, std::move(options));
  return run.Run();
}

}  // namespace

void AddDemoCommand(CLI::App& root, CommandContext& context) {
  auto options = std::make_shared<DemoOptions>();
  auto kill = std::make_shared<bool>(false);
  CLI::App* command =
      AddCommand(root, "demo", "Run three brokers here under load; with --kill, kill their leaders",
                 {"varve demo", "varve demo --kill", "varve demo --seconds 20 --rate 5000 --keep"});
  command->add_flag("--kill", *kill, "Kill 5 leaders with -9, and account for every record");
  command->add_option("--kills", options->kills, "Kill so many (and imply --kill)")->type_name("N");
  command
      ->add_option("--seconds", options->seconds,
                   "Run at least so long; default: until the kills are done, else until Ctrl-C")
      ->type_name("N");
  command->add_option("--partitions", options->partitions, "Partitions of the topic")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--rate", options->rate, "Records per second")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--varved", options->varved,
                   "The broker's program; default: beside this one, or on PATH")
      ->type_name("PROGRAM");
  command->add_flag("--keep", options->keep, "Leave the brokers' data and logs behind");
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options, kill] {
    context.action = [&context, options, kill] { return Demo(context.options, *options, *kill); };
  });
}

}  // namespace varve::cli
