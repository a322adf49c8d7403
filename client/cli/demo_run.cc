#include "client/cli/demo_run.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "client/cli/quantity.h"
#include "client/cli/status_json.h"
#include "client/cli/table.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr char kTopic[] = "demo";
constexpr milliseconds kShowInterval{1000};
constexpr milliseconds kLook{20};
// Between two kills, so that something is written in between.
constexpr milliseconds kCalm{1000};
constexpr milliseconds kPatience{30'000};
constexpr int kStarts = 3;

std::string MakeDirectory() {
  const char* base = getenv("TMPDIR");
  std::string path =
      std::string(base == nullptr || *base == '\0' ? "/tmp" : base) + "/varve-demo.XXXXXX";
  return mkdtemp(path.data()) == nullptr ? "" : path;
}

// Waits for an interrupt at most so long.
void Pause(milliseconds time) {
  pollfd wait{.fd = InterruptFd(), .events = POLLIN, .revents = 0};
  poll(&wait, 1, static_cast<int>(time.count()));
}

}  // namespace

std::string RenderDemoSummary(const demo::LoadSummary& summary, uint32_t kills, double seconds,
                              OutputFormat format) {
  if (format != OutputFormat::kTable) {
    Json json;
    json["seconds"] = seconds;
    json["kills"] = kills;
    json["sent"] = summary.sent;
    json["acknowledged"] = summary.acknowledged;
    json["failed"] = summary.failed;
    json["read"] = summary.read;
    json["lost"] = summary.lost;
    json["duplicated"] = summary.duplicated;
    json["longest_gap_ms"] = summary.longest_gap.count();
    return DumpJson(json, -1);
  }
  Table table({{"SENT", Align::kRight},
               {"ACKNOWLEDGED", Align::kRight},
               {"FAILED", Align::kRight},
               {"READ BACK", Align::kRight},
               {"LOST", Align::kRight},
               {"DUPLICATED", Align::kRight},
               {"LONGEST GAP", Align::kRight}});
  table.AddRow({std::to_string(summary.sent), std::to_string(summary.acknowledged),
                std::to_string(summary.failed), std::to_string(summary.read),
                std::to_string(summary.lost), std::to_string(summary.duplicated),
                std::to_string(summary.longest_gap.count()) + " ms"});
  return table.Render(false);
}

DemoRun::DemoRun(const GlobalOptions& global, DemoOptions options)
    : global_(global),
      options_(std::move(options)),
      live_(global.output == OutputFormat::kTable && IsTerminal(STDOUT_FILENO)),
      began_(Clock::now()) {}

DemoRun::~DemoRun() {
  load_.reset();
  cluster_.reset();
  if (directory_.empty() || options_.keep) return;
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

double DemoRun::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - began_).count();
}

void DemoRun::Say(const std::string& line) {
  lines_drawn_ = 0;  // what was drawn stays above
  if (global_.output != OutputFormat::kTable) {
    if (!global_.quiet) WriteErr(line + "\n");
  } else {
    (void)WriteOut(line + "\n");
  }
}

CommandEnd DemoRun::Run() {
  CatchInterrupts();
  if (Status status = StartBrokers(); !status.ok()) return status;
  if (Status status = StartLoad(); !status.ok()) return status;
  if (Status status = KillLeaders(); !status.ok()) return status;
  const bool endless = options_.seconds == 0 && options_.kills == 0;
  const auto end = began_ + std::chrono::seconds(options_.seconds);
  while (!Interrupted() && (endless || Clock::now() < end))
    (void)WatchUntil(
        [] { return false; },
        endless ? kShowInterval
                : std::min<milliseconds>(kShowInterval, std::chrono::duration_cast<milliseconds>(
                                                            end - Clock::now() + milliseconds(1))));
  return Finish();
}

// Free ports may be taken by somebody else before the brokers have them.
Status DemoRun::StartBrokers() {
  const std::string varved = options_.varved.empty() ? demo::FindVarved() : options_.varved;
  if (varved.empty())
    return UsageError("varved is neither beside this program nor on PATH",
                      "Name it with --varved PROGRAM.");
  directory_ = MakeDirectory();
  if (directory_.empty())
    return LocalError("cannot make a directory for the brokers", errno, "Set TMPDIR.");
  std::string wrong;
  for (int i = 1; i <= kStarts && !Interrupted(); ++i) {
    const std::string directory = directory_ + "/" + std::to_string(i);
    std::error_code error;
    fs::create_directory(directory, error);
    if (error) return LocalError("cannot write to " + directory_, error.value(), "Set TMPDIR.");
    cluster_ = std::make_unique<demo::DemoCluster>(varved, directory);
    const auto begin = Clock::now();
    wrong = cluster_->Start();
    if (!wrong.empty()) continue;
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    Say("three brokers ready after " + std::to_string(took.count()) + " ms, data in " + directory);
    Say("  export VARVE_SERVER=" + cluster_->addresses());
    return {};
  }
  return LocalError("the brokers do not start: " + wrong, 0, "Look at the log above.");
}

Status DemoRun::StartLoad() {
  GlobalOptions reach = global_;
  reach.server = cluster_->addresses();
  Result<Client> client = Connect(reach);
  if (!client.ok()) return client.status();
  client_ = std::move(*client);
  NewTopic topic;
  topic.name = kTopic;
  topic.partitions = options_.partitions;
  topic.replication_factor = demo::DemoCluster::kBrokers;
  if (const auto created = Admin(*client_).CreateTopic(topic); !created.ok())
    return created.status();
  load_ =
      std::make_unique<demo::VerifiedLoad>(*client_, kTopic, options_.partitions, options_.rate);
  Say("writing " + std::to_string(options_.rate) + " records/s to " +
      std::to_string(options_.partitions) + " partitions of topic \"" + kTopic +
      "\", each on three brokers");
  began_ = shown_ = Clock::now();
  return load_->Begin();
}

template <class Holds>
bool DemoRun::WatchUntil(Holds holds, milliseconds patience) {
  const auto end = Clock::now() + patience;
  while (!Interrupted() && Clock::now() < end) {
    if (holds()) return true;
    if (Clock::now() - shown_ >= kShowInterval) Show();
    Pause(std::min<milliseconds>(
        kLook, std::chrono::duration_cast<milliseconds>(end - Clock::now()) + milliseconds(1)));
  }
  return !Interrupted() && holds();
}

// --- What is seen
// ---------------------------------------------------------------------------------

void DemoRun::Show() {
  const double seconds = std::chrono::duration<double>(Clock::now() - shown_).count();
  shown_ = Clock::now();
  const uint64_t acknowledged = load_->ledger().Summary().acknowledged;
  const double rate = static_cast<double>(acknowledged - acknowledged_shown_) / seconds;
  acknowledged_shown_ = acknowledged;
  std::vector<size_t> leaders(demo::DemoCluster::kBrokers + 1);
  if (const auto topic = Admin(*client_).GetTopic(kTopic); topic.ok())
    for (const PartitionDescription& partition : topic->partitions)
      if (partition.leader_node < leaders.size()) ++leaders[partition.leader_node];
  const std::vector<std::string> lines = Frame(leaders, rate);
  std::string text;
  if (live_ && lines_drawn_ > 0) text = "\033[" + std::to_string(lines_drawn_) + "A";
  for (const std::string& line : lines) text += line + (live_ ? "\033[K\n" : "\n");
  if (global_.output != OutputFormat::kTable) {
    if (!global_.quiet) WriteErr(text);
  } else {
    (void)WriteOut(text);
  }
  lines_drawn_ = live_ ? lines.size() : 0;
}

// A line for each broker and one for the load; in one line where it cannot be drawn again.
std::vector<std::string> DemoRun::Frame(const std::vector<size_t>& leaders, double rate) const {
  const auto longest = load_->ledger().LongestGapSince(shown_ - kShowInterval);
  std::string load = Fixed(Seconds(), 0) + " s  " + HumanCount(rate) + " acknowledged/s, " +
                     std::to_string(acknowledged_shown_) + " in all";
  if (longest.count() > 0) load += ", longest gap " + std::to_string(longest.count()) + " ms";
  std::vector<std::string> lines;
  std::string all;
  for (size_t i = 0; i < demo::DemoCluster::kBrokers; ++i) {
    const bool up = cluster_->running(i);
    const size_t led = up ? leaders[i + 1] : 0;
    const std::string node = "node " + std::to_string(i + 1);
    all += (i == 0 ? "" : ", ") + node + (up ? " leads " + std::to_string(led) : " is dead");
    lines.push_back("  " + node + "  " + cluster_->address(i) + "  " +
                    (up ? "leads " + std::to_string(led) + " " + std::string(led, '#') : "dead"));
  }
  if (!live_) return {"  " + load + "; " + all};
  lines.push_back("  " + load);
  return lines;
}

// --- Kills
// ----------------------------------------------------------------------------------------

uint32_t DemoRun::BusiestLeader(size_t* partitions) {
  std::vector<size_t> leads(demo::DemoCluster::kBrokers + 1);
  const auto topic = Admin(*client_).GetTopic(kTopic);
  if (!topic.ok()) return 0;
  for (const PartitionDescription& partition : topic->partitions)
    if (partition.leader_node < leads.size()) ++leads[partition.leader_node];
  leads[0] = 0;
  const auto most = std::max_element(leads.begin(), leads.end());
  *partitions = *most;
  return *most == 0 ? 0 : static_cast<uint32_t>(most - leads.begin());
}

// Every partition has a leader and all its replicas: another broker may die.
bool DemoRun::Settled() {
  const auto survey = Admin(*client_).DescribePartitions(kTopic);
  return survey.ok() && survey->unanswered.empty() &&
         survey->partitions.size() == options_.partitions &&
         std::all_of(survey->partitions.begin(), survey->partitions.end(),
                     [](const PartitionReport& partition) {
                       const PartitionStatus* leader = partition.leader();
                       return leader != nullptr && leader->serving && !leader->under_replicated;
                     });
}

Status DemoRun::KillLeaders() {
  for (uint32_t i = 1; i <= options_.kills && !Interrupted(); ++i)
    if (Status status = KillOne(i); !status.ok()) return status;
  return {};
}

Status DemoRun::KillOne(uint32_t number) {
  (void)WatchUntil([] { return false; }, kCalm);
  const bool settled = WatchUntil([this] { return Settled(); }, kPatience);
  if (Interrupted()) return {};
  if (!settled)
    return LocalError("the brokers do not catch up with each other", 0,
                      "Look at 'varve doctor' and at the logs (--keep).");
  size_t partitions = 0;
  const uint32_t node = BusiestLeader(&partitions);
  if (node == 0) return LocalError("no partition has a leader", 0, "Look at the logs (--keep).");
  const auto killed = Clock::now();
  cluster_->Kill(node - 1);
  ++killed_;
  const bool all =
      WatchUntil([&] { return load_->ledger().AllAcknowledgedSince(killed + kLook); }, kPatience);
  if (Interrupted()) return {};
  if (!all)
    return LocalError("a partition takes no writes after its leader died", 0,
                      "Look at the logs (--keep).");
  Say("kill -9 of node " + std::to_string(node) + " (" + std::to_string(number) + " of " +
      std::to_string(options_.kills) + "), leader of " + std::to_string(partitions) +
      " partitions: longest gap " +
      std::to_string(load_->ledger().LongestGapSince(killed).count()) + " ms");
  if (std::string wrong = cluster_->Restart(node - 1); !wrong.empty())
    return LocalError("node " + std::to_string(node) + " does not come back: " + wrong, 0,
                      "Look at its log (--keep).");
  return {};
}

// --- The end
// --------------------------------------------------------------------------------------

CommandEnd DemoRun::Finish() {
  // A broker that was killed when the interrupt came.
  for (size_t i = 0; i < demo::DemoCluster::kBrokers; ++i)
    if (!cluster_->running(i)) (void)cluster_->Restart(i);
  const double seconds = Seconds();
  Say("reading everything back");
  const Status ended = load_->End(kPatience);
  if (!ended.ok()) return ended;
  if (Status status = load_->Verify(2 * kPatience); !status.ok()) return status;
  const demo::LoadSummary summary = load_->ledger().Summary();
  if (Status status = WriteOut(RenderDemoSummary(summary, killed_, seconds, global_.output));
      !status.ok())
    return status;
  load_.reset();
  cluster_->Stop();
  if (options_.keep) Say("kept: " + directory_);
  return DemoEnd(summary);
}

CommandEnd DemoEnd(const demo::LoadSummary& summary) {
  if (summary.lost == 0) return Status();
  return {kExitFailed,
          LocalError(std::to_string(summary.lost) + " acknowledged records are not in the log", 0,
                     "Please report this with the logs (--keep).")};
}

}  // namespace varve::cli
