#include "storage/local_directory.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

template <class Id>
Id DrawId(Random& random) {
  Id id;
  do {
    for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(random.Next());
  } while (id.empty());
  return id;
}

std::string ParentOf(const std::string& path) {
  const size_t end = path.find_last_not_of('/');
  const size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) return path.starts_with('/') ? "/" : ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Entry BootstrapEntry(GroupId group, const Bootstrap& bootstrap) {
  EntryHeader header;
  header.kind = EntryKind::kMeta;
  header.group = group;
  header.first_index = header.last_index = Index(1);
  header.base_offset = Offset(0);
  header.last_offset = Offset(-1);
  header.append_time = bootstrap.append_time;
  const std::string body =
      EncodeMeta(SegmentStart{Index(0), bootstrap.configuration, {}, StateDigest{}});
  return FrameBuffer::Copy(body).Seal(header);
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(FileSystem& files,
                                                                   const Clock& clock,
                                                                   Random& random,
                                                                   DataDirectoryOptions options,
                                                                   StorageExecutors executors) {
  const std::string path = options.path;
  auto directory = std::make_unique<LocalDirectory>(files, clock, std::move(options), executors);
  absl::Status status = directory->Start(random);
  if (absl::IsPermissionDenied(status))
    status = MakeError(Reason::PERMISSION_DENIED, MessageOf(status),
                       "; the user that runs the broker needs to read and write it");
  if (!status.ok()) return AddContext(status, StrCat("data directory \"", path, "\""));
  return std::unique_ptr<DataDirectory>(std::move(directory));
}

LocalDirectory::LocalDirectory(FileSystem& files, const Clock& clock, DataDirectoryOptions options,
                               StorageExecutors executors)
    : files_(files),
      clock_(clock),
      options_(std::move(options)),
      executors_(executors),
      paths_(options_.path),
      context_{files_, std::make_shared<FilePool>(files, options_.max_open_files), {}},
      budget_(std::make_shared<DirtyBudget>(options_.dirty_budget_bytes)),
      reserve_(std::make_shared<SpaceReserve>(
          files_, paths_.reserve,
          SpaceReserve::Sizes{options_.dirty_budget_bytes, options_.reserve_bytes},
          *executors_.sync, clock_)),
      watch_(std::make_shared<DiskWatch>(options_.path, executors_.watch, clock_,
                                         options_.stall_after)),
      scrubber_(std::make_shared<Scrubber>(*executors_.reader, clock_, options_.scrub_period,
                                           [this] { return Replicas(); })),
      cache_(options_.cache_bytes),
      self_(std::make_shared<Handle>()) {
  self_->directory = this;
}

LocalDirectory::~LocalDirectory() {
  {
    std::lock_guard lock(self_->mutex);
    self_->directory = nullptr;
  }
  scrubber_->Detach();
  watch_->Detach();
  reserve_->Detach();
  if (writer_) writer_->Detach();
}

// --- Opening
// --------------------------------------------------------------------------------------

absl::Status LocalDirectory::Start(Random& random) {
  VARVE_RETURN_IF_ERROR(files_.CreateDirectory(paths_.root));
  VARVE_RETURN_IF_ERROR(TakeLock());
  bool fresh = false;
  VARVE_RETURN_IF_ERROR(TakeIdentity(random, &fresh));
  context_.identity = identity_;
  VARVE_RETURN_IF_ERROR(MakeDirectories());
  VARVE_RETURN_IF_ERROR(reserve_->Open());
  while (incarnation_ == 0) incarnation_ = random.Next();
  absl::Status status = StartJournal(fresh);
  if (ReasonOf(status) == Reason::NO_SPACE) {
    // Recovery may be repeated, like one that a crash cut short.
    VARVE_RETURN_IF_ERROR(reserve_->ReleaseAll());
    status = StartJournal(fresh);
  }
  VARVE_RETURN_IF_ERROR(status);
  writer_->SetJournal(journal_.get());
  journal_->SetNeedSegmentSync([writer = writer_] { writer->RequestSync(); });
  reserve_->Start(replicas_.size());
  scrubber_->Start();
  ArmTrash();
  return absl::OkStatus();
}

absl::Status LocalDirectory::StartJournal(bool fresh) {
  recovered_ = {identity_.node, identity_.directory, 0, 0, CommitSequence{}};
  VARVE_ASSIGN_OR_RETURN(Checkpoint state, TakeJournal(fresh));
  state.incarnation = incarnation_;
  writer_ = std::make_shared<SegmentWriter>(SegmentWriter::Parts{
      files_, *executors_.segments, *executors_.sync, clock_, budget_, reserve_, paths_.groups,
      options_.sync_interval, std::max<size_t>(options_.max_unsynced_files, 1)});
  VARVE_ASSIGN_OR_RETURN(
      journal_,
      Journal::Begin(files_, paths_.journal, identity_, options_.journal, std::move(state),
                     *executors_.journal, clock_, executors_.sync, watch_));
  return absl::OkStatus();
}

absl::Status LocalDirectory::TakeLock() {
  auto lock = files_.Lock(paths_.lock);
  if (ReasonOf(lock.status()) == Reason::DIRECTORY_IN_USE)
    return RefusalOf(
        Decide(DirectoryObservation{.lock = LockSeen::kHeldElsewhere}, options_.recovery_trace),
        MessageOf(lock.status()));
  VARVE_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

// `fresh`: nothing was ever written here. What a valid identity comes with, TakeJournal judges.
absl::Status LocalDirectory::TakeIdentity(Random& random, bool* fresh) {
  DirectoryObservation seen;
  absl::Status why = ReadIdentity(&seen);
  if (why.ok()) return absl::OkStatus();
  if (seen.identity == IdentitySeen::kValid) return why;  // it could not be read
  if (seen.identity == IdentitySeen::kMissing) {
    VARVE_ASSIGN_OR_RETURN(seen.journal, LookInto(paths_.journal));
    VARVE_ASSIGN_OR_RETURN(seen.groups, LookInto(paths_.groups));
  }
  const RecoveryRowInfo& row = Decide(seen, options_.recovery_trace);
  *fresh = row.verdict == RecoveryVerdict::kBegin;
  if (*fresh) return CreateIdentity(random);
  if (seen.identity != IdentitySeen::kMissing) return RefusalOf(row, MessageOf(why));
  const std::string& path = seen.journal == ContentsSeen::kSome ? paths_.journal : paths_.groups;
  return RefusalOf(row,
                   StrCat("\"", path, "\" holds files, and \"", paths_.identity, "\" is missing"));
}

// OK when it is ours; otherwise `seen` says what it is, or the disk's error is returned.
absl::Status LocalDirectory::ReadIdentity(DirectoryObservation* seen) {
  const auto block = ReadWholeFile(files_, paths_.identity, kFileHeaderBytes);
  if (absl::IsNotFound(block.status())) seen->identity = IdentitySeen::kMissing;
  if (const auto entry = files_.Stat(paths_.identity);
      !block.ok() && entry.ok() && entry->size > kFileHeaderBytes) {
    seen->identity = IdentitySeen::kDamaged;
    return MakeError(Reason::DATA_LOSS, MessageOf(block.status()));
  }
  VARVE_RETURN_IF_ERROR(block.status());
  const auto header = DecodeFileHeader(*block, FileKind::kIdentity);
  if (!header.ok()) {
    seen->identity = ReasonOf(header.status()) == Reason::NEWER_FORMAT ? IdentitySeen::kNewerFormat
                                                                       : IdentitySeen::kDamaged;
    return AddContext(header.status(), paths_.identity);
  }
  identity_ = header->identity;
  seen->identity = IdentitySeen::kForeign;
  if (!options_.expected_cluster.empty() && identity_.cluster != options_.expected_cluster)
    return MakeError(Reason::FOREIGN_DIRECTORY, "it belongs to cluster ",
                     identity_.cluster.ToString(), ", and the configuration says ",
                     options_.expected_cluster.ToString());
  if (identity_.node != options_.node)
    return MakeError(Reason::FOREIGN_DIRECTORY, "it belongs to node ", identity_.node,
                     ", and the configuration says node ", options_.node);
  seen->identity = IdentitySeen::kValid;
  return absl::OkStatus();
}

absl::StatusOr<ContentsSeen> LocalDirectory::LookInto(const std::string& directory) {
  const auto entries = files_.List(directory);
  if (absl::IsNotFound(entries.status())) return ContentsSeen::kNone;
  VARVE_RETURN_IF_ERROR(entries.status());
  return entries->empty() ? ContentsSeen::kNone : ContentsSeen::kSome;
}

absl::Status LocalDirectory::CreateIdentity(Random& random) {
  identity_.cluster =
      options_.expected_cluster.empty() ? DrawId<ClusterId>(random) : options_.expected_cluster;
  identity_.directory =
      options_.new_directory.empty() ? DrawId<DirectoryId>(random) : options_.new_directory;
  identity_.node = options_.node;
  FileHeader header;
  header.kind = FileKind::kIdentity;
  header.identity = identity_;
  return ReplaceFile(files_, paths_.identity, EncodeFileHeader(header));
}

absl::Status LocalDirectory::MakeDirectories() {
  for (const std::string& path : {paths_.journal, paths_.groups, paths_.trash})
    VARVE_RETURN_IF_ERROR(files_.CreateDirectory(path));
  VARVE_RETURN_IF_ERROR(files_.SyncDirectory(paths_.root));
  // The directory's own name. Who may not read the parent did not create it there either.
  absl::Status status = files_.SyncDirectory(ParentOf(paths_.root));
  return absl::IsPermissionDenied(status) ? absl::OkStatus() : status;
}

// What the journal begins from: what recovery brought up, or nothing.
absl::StatusOr<Checkpoint> LocalDirectory::TakeJournal(bool fresh) {
  if (!fresh) {
    auto recovered = Recover(context_, paths_, options_.recovery_trace);
    if (!recovered.ok() && !absl::IsNotFound(recovered.status())) return recovered.status();
    DirectoryObservation seen;
    seen.journal = recovered.ok() ? ContentsSeen::kSome : ContentsSeen::kNone;
    VARVE_ASSIGN_OR_RETURN(seen.groups, LookInto(paths_.groups));
    const RecoveryRowInfo& row = Decide(seen, options_.recovery_trace);
    if (row.verdict == RecoveryVerdict::kRefuse)
      return RefusalOf(row, StrCat("\"", paths_.groups, "\" holds replicas, and \"", paths_.journal,
                                   "\" holds no journal"));
    if (recovered.ok()) {
      report_ = std::move(recovered->report);
      recovered_ = recovered->mark;
      recovery_number_ = recovered->checkpoint.recovery_number;
      replicas_ = std::move(recovered->replicas);
      for (const auto& [group, replica] : replicas_)
        newest_append_time_ = std::max(newest_append_time_, replica->scalars.end.append_time);
      return std::move(recovered->checkpoint);
    }
  }
  report_.created = true;
  Checkpoint state;
  state.process_epoch = 1;
  state.recovery_number = recovery_number_ = options_.new_recovery_number;
  state.next_file = FileNumber(1);
  state.next_generation = Generation(1);
  return state;
}

// --- Logs
// -----------------------------------------------------------------------------------------

LogParts LocalDirectory::Parts() {
  return {*journal_, writer_, cache_, budget_, reserve_, *executors_.reader, context_};
}

std::vector<std::shared_ptr<ReplicaFiles>> LocalDirectory::Replicas() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<ReplicaFiles>> out;
  out.reserve(replicas_.size());
  for (const auto& [group, replica] : replicas_) out.push_back(replica);
  return out;
}

std::vector<GroupId> LocalDirectory::groups() const {
  std::lock_guard lock(mutex_);
  std::vector<GroupId> out;
  for (const auto& [group, replica] : replicas_) out.push_back(group);
  return out;
}

absl::StatusOr<std::unique_ptr<PartitionLog>> LocalDirectory::OpenLog(GroupId group,
                                                                      Executor& shard) {
  std::shared_ptr<ReplicaFiles> replica;
  {
    std::lock_guard lock(mutex_);
    const auto at = replicas_.find(group);
    if (at == replicas_.end())
      return absl::NotFoundError(absl::StrCat("group ", group.value(), " has no replica here"));
    replica = at->second;
  }
  {
    std::lock_guard lock(replica->mutex);
    VARVE_CHECK(!std::exchange(replica->log_open, true), "the log of group ", group,
                " is open already");
  }
  return std::unique_ptr<PartitionLog>(
      std::make_unique<SegmentLog>(Parts(), std::move(replica), shard));
}

void LocalDirectory::CreateLog(
    GroupId group, ReplicaEpoch epoch, std::optional<Bootstrap> bootstrap, Executor& shard,
    absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<PartitionLog>>)> done) {
  auto replica = std::make_shared<ReplicaFiles>(group, epoch,
                                                JoinPath(paths_.groups, GroupDirectoryName(group)));
  {
    std::lock_guard lock(mutex_);
    // The directory of the one before has the same name.
    if (const auto at = burying_.find(group); at != burying_.end()) {
      at->second.push_back([this, group, epoch, bootstrap = std::move(bootstrap), &shard,
                            done = std::move(done)]() mutable {
        CreateLog(group, epoch, std::move(bootstrap), shard, std::move(done));
      });
      return;
    }
    const bool added = replicas_.emplace(group, replica).second;
    reserve_->SetReplicas(replicas_.size());
    if (!added) {
      return shard.Post([done = std::move(done), group]() mutable {
        done(MakeError(Reason::ALREADY_EXISTS, "group ", group, " has a replica here"));
      });
    }
  }
  replica->log_open = true;
  auto log = std::make_shared<std::unique_ptr<SegmentLog>>(
      std::make_unique<SegmentLog>(Parts(), replica, shard));
  Configurations configurations;
  std::optional<Entry> first;
  if (bootstrap) {
    first = BootstrapEntry(group, *bootstrap);
    configurations.committed = {Index(1), bootstrap->configuration};
  }
  SegmentLog& raw = **log;
  raw.WriteCreation(std::move(first), std::move(configurations),
                    [forget = WhileAlive([this, group] {
                       std::lock_guard lock(mutex_);
                       replicas_.erase(group);
                     }),
                     log, done = std::move(done)](absl::Status status) mutable {
                      if (!status.ok()) {
                        log->reset();
                        forget();
                        return done(std::move(status));
                      }
                      done(std::unique_ptr<PartitionLog>(std::move(*log)));
                    });
}

// --- State
// ----------------------------------------------------------------------------------------

absl::Status LocalDirectory::health() const {
  VARVE_RETURN_IF_ERROR(journal_->health());
  return writer_->health();
}

std::vector<LogStats> LocalDirectory::log_stats() const {
  std::vector<std::shared_ptr<ReplicaFiles>> replicas;
  {
    std::lock_guard lock(mutex_);
    replicas.reserve(replicas_.size());
    for (const auto& [group, replica] : replicas_) replicas.push_back(replica);
  }
  std::vector<LogStats> all;
  all.reserve(replicas.size());
  for (const auto& replica : replicas) {
    std::lock_guard lock(replica->mutex);
    LogStats stats{replica->group, replica->scalars.start.offset, replica->scalars.end.next_offset,
                   0, replica->segments.size()};
    for (const PlacedSegment& placed : replica->segments) stats.bytes += placed.end;
    all.push_back(stats);
  }
  return all;
}

absl::Status LocalDirectory::Admit(SpaceClass wanted) const {
  absl::Status status = reserve_->Admit(wanted, budget_->used());
  const bool waits = writer_->waits_for_space() || journal_->waits_for_space();
  if (status.ok() && waits && wanted != SpaceClass::kVital) {
    status = MakeError(Reason::NO_SPACE, "the disk is full");
  }
  if (status.ok()) return status;
  return AddContext(status, StrCat("data directory \"", paths_.root,
                                   "\", whose writes resume by themselves when there is room"));
}

void LocalDirectory::Close(PartitionLog::Done done) {
  writer_->Drain(WhileAlive([this, done = std::move(done)](absl::Status status) mutable {
    if (!status.ok()) return done(std::move(status));
    journal_->Close(std::move(done));
  }));
}

}  // namespace varve::storage
