#include "server/process/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "common/error.h"
#include "server/log/logging.h"
#include "server/process/fold_store.h"
#include "server/version.h"

namespace varve::server {
namespace {

constexpr std::string_view kModule = "varved";
// How often a running process looks at its disk's health.
constexpr std::chrono::seconds kHealthInterval{1};

// The thread's name has at most 15 bytes.
std::string ShardName(size_t i) { return StrCat("shard-", i); }

// As many files as the system allows, whatever the shell that started the broker was given.
uint64_t RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlimit raised = limit;
  raised.rlim_cur = raised.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

void LogDisk(const storage::DiskEvent& event) {
  const int64_t ms = event.duration / kMillisecond;
  if (event.kind == storage::DiskEvent::Kind::kOk)
    return Log(LogLevel::kInfo, "storage", "the disk answers again",
               {{"directory", event.directory}, {"took_ms", ms}});
  Log(LogLevel::kWarn, "storage",
      "the disk does not answer: nothing is acknowledged until it does; look at the kernel's log "
      "and at what else uses the disk",
      {{"directory", event.directory}, {"waiting_ms", ms}});
}

void LogDamage(const storage::ScrubFinding& finding) {
  Log(LogLevel::kError, "storage",
      "a segment is damaged: reads of what does not verify are refused; all else goes on. See "
      "'varved inspect', and docs/operations.md",
      {{"path", finding.path},
       {"group", finding.group.value()},
       {"first_index", finding.range.first.value()},
       {"last_index", finding.range.last.value()}});
}

}  // namespace

BrokerProcess::BrokerProcess(Config config, std::string ready_file)
    : config_(std::move(config)),
      ready_file_(std::move(ready_file)),
      begun_(RealClock().Now()),
      random_(SystemRandom()),
      view_{.files = RealFileSystem(),
            .data_dir = config_.Text("data_dir"),
            .started = RealClock().Wall(),
            .dirty_budget_bytes =
                static_cast<size_t>(config_.Number("storage.dirty_budget_bytes"))} {}

BrokerProcess::~BrokerProcess() {
  // Pages may be looking at the broker.
  http_.reset();
  grpc_.reset();
  if (peer_door_ != nullptr) peer_door_->SetService(nullptr);
  broker_.reset();
  formation_.reset();
  peer_client_.reset();
  peer_door_.reset();
}

bool BrokerProcess::RequestStop() {
  std::lock_guard lock(mutex_);
  if (!serving_) return false;
  stop_ = true;
  changed_.notify_all();
  return true;
}

Executor* BrokerProcess::AddExecutor(std::string name) {
  threads_.push_back(ThreadExecutor(std::move(name)));
  return threads_.back().get();
}

void BrokerProcess::MakeExecutors() {
  size_t shards = static_cast<size_t>(config_.Number("shards"));
  if (shards == 0) shards = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 256);
  for (size_t i = 0; i < shards; ++i) executors_.shards.push_back(AddExecutor(ShardName(i)));
  executors_.storage.journal = AddExecutor("journal");
  executors_.storage.segments = AddExecutor("segments");
  executors_.storage.sync = AddExecutor("segment-sync");
  executors_.storage.reader = AddExecutor("cold-reader");
  executors_.background = AddExecutor("background");
  timers_ = AddExecutor("timers");
  executors_.storage.watch = timers_;
}

BrokerOptions BrokerProcess::MakeOptions() const {
  BrokerOptions options;
  options.advertised_address = config_.Text("advertise");
  storage::DataDirectoryOptions& directory = options.directory;
  directory.path = config_.Text("data_dir");
  directory.node = NodeId(static_cast<decltype(NodeId().value())>(config_.Number("node_id")));
  directory.journal.file_bytes = static_cast<uint64_t>(config_.Number("journal.file_bytes"));
  directory.journal.max_live_files =
      static_cast<uint32_t>(config_.Number("journal.max_live_files"));
  directory.dirty_budget_bytes = view_.dirty_budget_bytes;
  directory.reserve_bytes = static_cast<uint64_t>(config_.Number("storage.reserve_bytes"));
  directory.cache_bytes = static_cast<size_t>(config_.Number("storage.cache_bytes"));
  directory.max_open_files = static_cast<uint32_t>(config_.Number("storage.max_open_files"));
  directory.max_unsynced_files =
      static_cast<uint32_t>(std::clamp<uint64_t>(RaiseOpenFiles() / 2, 64, 1 << 20));
  directory.sync_interval = config_.Number("storage.sync_interval");
  directory.stall_after = config_.Number("storage.stall_after");
  directory.scrub_period = config_.Number("storage.scrub_period");
  return options;
}

absl::Status BrokerProcess::AsOperatorsError(const absl::Status& status) {
  if (ReasonOf(status) != Reason::INTERNAL) return status;
  if (status.code() == absl::StatusCode::kPermissionDenied)
    return MakeErrorText(Reason::PERMISSION_DENIED, MessageOf(status));
  if (status.code() == absl::StatusCode::kNotFound ||
      status.code() == absl::StatusCode::kAlreadyExists)
    return MakeErrorText(Reason::CONFIG_FILE_INVALID, MessageOf(status));
  return status;
}

absl::Status BrokerProcess::OpenHttp() {
  const HostPort address = config_.Address("http.address");
  VARVE_ASSIGN_OR_RETURN(
      http_, HttpServer::Start({.host = address.host, .port = address.port}, AdminPages(view_)));
  return absl::OkStatus();
}

absl::Status BrokerProcess::OpenBroker() {
  BrokerOptions options = MakeOptions();
  const std::string& cluster = config_.Text("cluster_id");
  if (!cluster.empty() && !ClusterId::Parse(cluster, &options.directory.expected_cluster))
    return MakeError(Reason::CONFIG_FILE_INVALID, "cluster_id is \"", cluster,
                     "\", which is not the id of a cluster");
  bool formed = false;
  if (peer_door_ != nullptr) {
    VARVE_ASSIGN_OR_RETURN(formed, EnterCluster(&options));
  }
  absl::StatusOr<std::unique_ptr<Broker>> opened = Broker::Open(
      RealFileSystem(), RealClock(), *random_,
      Broker::StoreOpener([this] { return OpenFoldStore(RealFileSystem(), view_.data_dir); }),
      std::move(options), executors_);
  if (!opened.ok()) return AsOperatorsError(opened.status());
  broker_ = *std::move(opened);
  if (peer_door_ != nullptr && !formed) VARVE_RETURN_IF_ERROR(GoOnEntering());
  view_.broker.store(broker_.get(), std::memory_order_release);
  LogRecovery();
  broker_->directory().AddDiskListener(LogDisk);
  broker_->directory().AddScrubListener(LogDamage);
  return absl::OkStatus();
}

void BrokerProcess::LogRecovery() const {
  const storage::DirectoryIdentity& identity = broker_->directory().identity();
  const storage::RecoveryReport& report = broker_->directory().recovery();
  Log(LogLevel::kInfo, "storage",
      report.created ? "data directory created" : "data directory recovered",
      {{"cluster", identity.cluster.ToString()},
       {"node", identity.node},
       {"process_epoch", broker_->directory().process_epoch()},
       {"replicas", report.replicas},
       {"frames_replayed", report.frames_replayed},
       {"bytes_replayed", report.bytes_replayed},
       {"files_trashed", report.files_trashed},
       {"damaged_segments", report.damaged},
       {"suspect_replicas", report.suspect}});
  const bool damage = report.damaged > 0 || report.suspect > 0;
  for (const std::string& note : report.notes)
    Log(damage ? LogLevel::kWarn : LogLevel::kInfo, "storage", note);
  if (report.suspect > 0)
    Log(LogLevel::kError, "storage", InfoOf(Reason::REPLICA_SUSPECT).advice,
        {{"suspect_replicas", report.suspect}});
}

absl::Status BrokerProcess::StartBroker() {
  broker_->Start([this](absl::Status status) {
    std::lock_guard lock(mutex_);
    if (!started_) started_ = std::move(status);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return started_.has_value(); });
  serving_ = started_->ok();
  return *started_;
}

absl::Status BrokerProcess::Announce() {
  const std::string grpc = FormatHostPort(config_.Address("grpc.address").host, grpc_->port());
  const std::string http = FormatHostPort(config_.Address("http.address").host, http_->port());
  Log(LogLevel::kInfo, kModule, "ready",
      {{"grpc", grpc},
       {"http", http},
       {"topics", broker_->catalogue().size()},
       {"after_ms", (RealClock().Now() - begun_) / kMillisecond}});
  if (ready_file_.empty()) return absl::OkStatus();
  return ReplaceFile(RealFileSystem(), ready_file_,
                     StrCat("grpc=", grpc, " http=", http,
                            peer_door_ == nullptr ? "" : StrCat(" peer=", PeerAddress()),
                            " pid=", ::getpid(), "\n"));
}

absl::Status BrokerProcess::StartDoorsAndBroker() {
  Log(LogLevel::kInfo, kModule, "starting",
      {{"version", kVersion}, {"data_dir", view_.data_dir}, {"pid", ::getpid()}});
  const HostPort address = config_.Address("grpc.address");
  // The door opens after recovery; whether it can is worth knowing before.
  VARVE_RETURN_IF_ERROR(ProbeAddress(address.host, address.port));
  VARVE_RETURN_IF_ERROR(OpenHttp());
  MakeExecutors();
  VARVE_RETURN_IF_ERROR(OpenPeerDoor());
  VARVE_RETURN_IF_ERROR(OpenBroker());
  VARVE_ASSIGN_OR_RETURN(grpc_,
                         GrpcServer::Start({.address = FormatHostPort(address.host, address.port)},
                                           broker_->service(), RealClock(), *timers_));
  SetAddresses();
  if (peer_door_ != nullptr) peer_door_->SetService(broker_->peers());
  return StartBroker();
}

absl::Status BrokerProcess::Run() {
  VARVE_RETURN_IF_ERROR(StartDoorsAndBroker());
  grpc_->SetServing(true);
  VARVE_RETURN_IF_ERROR(Announce());
  WatchUntilStop();
  return Drain();
}

void BrokerProcess::WatchUntilStop() {
  bool sound = true;
  bool full = false;
  std::string paused;
  bool off = false;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kHealthInterval, [&] { return stop_; })) {
    if (std::string why = broker_->partitions().clock_watch().Check(); why != paused) {
      paused = std::move(why);
      Log(paused.empty() ? LogLevel::kInfo : LogLevel::kWarn, "retention",
          paused.empty() ? "deletion by age goes on"
                         : StrCat("deletion by age is paused: ", paused,
                                  "; when the clock is right: varve broker confirm-clock"));
    }
    broker_->NoteConditions();
    const std::string why_off = broker_->partitions().clock_watch().Off();
    if (std::exchange(off, !why_off.empty()) != off)
      Log(off ? LogLevel::kError : LogLevel::kInfo, "clock",
          off ? StrCat(why_off,
                       ": no records are taken and leaderships are given away; "
                       "correct the clock")
              : "the wall clock agrees with the other brokers again: records are taken");
    const absl::Status space = broker_->directory().AdmitData();
    if (full || !space.ok())
      broker_->partitions().ForEach([full = !space.ok()](Partition& p) { p.SetDiskFull(full); });
    if (std::exchange(full, !space.ok()) != full)
      Log(full ? LogLevel::kWarn : LogLevel::kInfo, "storage",
          full ? StrCat(MessageOf(space), "; delete topics or grow the file system")
               : "the disk has room again: appends are taken");
    const absl::Status health = broker_->health();
    if (health.ok() || !sound) continue;
    sound = false;
    // It stays up: what is stored can still be read, and an operator decides about the disk.
    Log(LogLevel::kError, "storage", MessageOf(health));
    grpc_->SetServing(false);
  }
}

absl::Status BrokerProcess::Drain() {
  Log(LogLevel::kInfo, kModule, "draining",
      {{"grace_ms", config_.Number("drain_timeout") / kMillisecond}});
  view_.draining.store(true, std::memory_order_release);
  grpc_->SetServing(false);
  grpc_->Shutdown(config_.Number("drain_timeout"));
  if (peer_door_ != nullptr) peer_door_->SetService(nullptr);
  broker_->Stop([this](absl::Status status) {
    std::lock_guard lock(mutex_);
    stopped_ = std::move(status);
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopped_.has_value(); });
  if (stopped_->ok()) Log(LogLevel::kInfo, kModule, "stopped");
  return *stopped_;
}

}  // namespace varve::server
