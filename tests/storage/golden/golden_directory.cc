#include "tests/storage/golden/golden_directory.h"

#include <utility>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/record_batch_builder.h"

namespace varve::storage {
namespace {

constexpr GroupId kCodecs = kFirstTopicGroup;
constexpr GroupId kTruncated{kFirstTopicGroup.value() + 1};
constexpr GroupId kRolled{kFirstTopicGroup.value() + 2};
constexpr GroupId kJoiner{kFirstTopicGroup.value() + 3};
constexpr GroupId kRemoved{kFirstTopicGroup.value() + 4};

Configuration Voters(std::vector<ReplicaId> voters) {
  Configuration configuration;
  configuration.voters = std::move(voters);
  return configuration;
}

EntryHeader Next(const PartitionLog& log, EntryKind kind) {
  EntryHeader header;
  header.kind = kind;
  header.group = log.group();
  header.first_index = header.last_index = log.end().last_index + 1;
  header.term = std::max(log.hard_state().term, log.end().last_term);
  header.base_offset = log.end().next_offset;
  header.last_offset = log.end().next_offset - 1;
  header.append_time = log.end().append_time + 10;
  return header;
}

LogWrite One(Entry entry) {
  LogWrite write;
  write.entries.push_back(std::move(entry));
  return write;
}

LogWrite SegmentStartOf(const PartitionLog& log) {
  SegmentStart start;
  start.config_index = log.configurations().committed.index;
  start.config = log.configurations().committed.configuration;
  start.epochs = log.epochs();
  return One(FrameBuffer::Copy(EncodeMeta(start)).Seal(Next(log, EntryKind::kMeta)));
}

// A vote for itself and the barrier of its term.
void Lead(GoldenHost* host, GroupId group, Term term) {
  LogWrite write;
  write.hard_state = HardState{term, {NodeId{1}, ReplicaEpoch{1}}};
  host->Write(group, std::move(write));
  host->Write(group, One(FrameBuffer::Copy("").Seal(Next(host->log(group), EntryKind::kBarrier))));
}

void AppendData(GoldenHost* host, GroupId group, int entries, int records) {
  for (int i = 0; i < entries; ++i)
    host->Write(group, One(GoldenData(host->log(group), Codec::kNone, records)));
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes)
    for (const int shift : {4, 0})
      out += "0123456789abcdef"[(static_cast<uint8_t>(c) >> shift) & 15];
  return out;
}

std::string ConfigurationText(const ConfigurationAt& at) {
  return StrCat(at.index, ":", Hex(EncodeConfiguration(at.configuration)));
}

void NotePeer(GoldenHost* host, NodeId node, uint8_t directory, uint64_t epoch) {
  PeerMark mark{node, {}, epoch, 1000 + epoch, CommitSequence{100 * epoch}};
  mark.directory.bytes.fill(directory);
  VARVE_CHECK(!host->directory().NotePeer({mark, std::nullopt, 0}).suspect());
}

DataDirectoryOptions Options() {
  DataDirectoryOptions options;
  options.path = "data";
  options.node = NodeId{1};
  options.journal.file_bytes = 256 << 10;
  options.journal.max_live_files = 3;
  return options;
}

}  // namespace

GoldenHost::GoldenHost() : scheduler_(1), disk_(&scheduler_), random_(SeededRandom(1)) {}
GoldenHost::~GoldenHost() { Drop(); }

void GoldenHost::Drop() {
  logs_.clear();
  directory_.reset();
  executors_.clear();
}

void GoldenHost::Wait(absl::AnyInvocable<bool()> until) {
  VARVE_CHECK(scheduler_.RunUntil(std::move(until), 10 * kSecond), "no answer");
}

absl::Status GoldenHost::Open() {
  Drop();
  for (const char* name : {"journal", "segments", "sync", "reader", "shard"})
    executors_.push_back(scheduler_.NewExecutor(name));
  const StorageExecutors executors{executors_[0].get(), executors_[1].get(), executors_[2].get(),
                                   executors_[3].get()};
  auto opened = DataDirectory::Open(disk_, scheduler_.clock(), *random_, Options(), executors);
  if (!opened.ok()) return opened.status();
  directory_ = *std::move(opened);
  for (const GroupId group : directory_->groups()) {
    auto log = directory_->OpenLog(group, *executors_.back());
    if (!log.ok()) return log.status();
    logs_[group] = *std::move(log);
  }
  return absl::OkStatus();
}

void GoldenHost::Close() {
  logs_.clear();
  bool closed = false;
  directory_->Close([&](const absl::Status& status) {
    VARVE_CHECK(status.ok(), MessageOf(status));
    closed = true;
  });
  Wait([&] { return closed; });
  Drop();
}

void GoldenHost::PowerLoss() {
  disk_.PowerLoss(*random_);
  Drop();
}

void GoldenHost::Create(GroupId group, ReplicaEpoch epoch, bool bootstrap) {
  std::optional<Bootstrap> first;
  if (bootstrap) first = Bootstrap{Voters({{NodeId{1}, epoch}}), WallTime{1'700'000'000'000}};
  directory_->CreateLog(group, epoch, std::move(first), *executors_.back(), [&](auto log) {
    VARVE_CHECK(log.ok(), MessageOf(log.status()));
    logs_[group] = *std::move(log);
  });
  Wait([&] { return logs_.contains(group); });
}

void GoldenHost::Remove(GroupId group) {
  logs_.erase(group);
  bool removed = false;
  directory_->RemoveLog(group, *executors_.back(), [&](const absl::Status& status) {
    VARVE_CHECK(status.ok(), MessageOf(status));
    removed = true;
  });
  Wait([&] { return removed; });
  scheduler_.RunFor(kSecond);  // until the files are in the trash
}

void GoldenHost::Write(GroupId group, LogWrite write) {
  size_t bytes = 0;
  for (const Entry& entry : write.entries)
    if (!entry.header.zero_width()) bytes += entry.frame.size();
  VARVE_CHECK(bytes == 0 || directory_->TryReserveDirty(bytes, nullptr));
  bool done = false;
  executors_.back()->Post([&] {
    log(group).Write(std::move(write), [&](const absl::Status& status) {
      VARVE_CHECK(status.ok(), MessageOf(status));
      done = true;
    });
  });
  Wait([&] { return done; });
}

PartitionLog& GoldenHost::log(GroupId group) {
  VARVE_CHECK(logs_.contains(group), "no log of group ", group);
  return *logs_[group];
}

std::vector<Entry> GoldenHost::ReadAll(GroupId group) {
  std::vector<Entry> entries;
  const Index last = log(group).end().last_index;
  for (Index from = log(group).start().index; from <= last;) {
    std::optional<ReadResult> read;
    executors_.back()->Post([&] {
      log(group).Read(from, last, 1000, [&](absl::StatusOr<ReadResult> result) {
        VARVE_CHECK(result.ok(), MessageOf(result.status()));
        read = *std::move(result);
      });
    });
    Wait([&] { return read.has_value(); });
    VARVE_CHECK(!read->entries.empty(), "nothing at index ", from, " of group ", group);
    for (Entry& entry : read->entries) {
      from = entry.header.last_index + 1;
      entries.push_back(std::move(entry));
    }
  }
  return entries;
}

std::string GoldenHost::Describe() {
  const DirectoryIdentity& identity = directory_->identity();
  std::string out = StrCat("cluster ", identity.cluster.ToString(), " directory ",
                           identity.directory.ToString(), " node ", identity.node, "\n");
  for (const auto& [mark, durable] : directory_->peer_marks())
    out += StrCat("peer ", mark.node, " directory ", mark.directory.ToString(), " process epoch ",
                  mark.process_epoch, " incarnation ", mark.incarnation, " durable ", mark.durable,
                  "\n");
  for (const auto& [group, log] : logs_) {
    const HardState hard = log->hard_state();
    const Configurations& known = log->configurations();
    out += StrCat("group ", group, " epoch ", log->replica_epoch(), " term ", hard.term, " vote ",
                  hard.vote.node, "/", hard.vote.epoch, " commit ", log->commit_index(), " last ",
                  log->end().last_index, " next offset ", log->end().next_offset, " committed ",
                  ConfigurationText(known.committed), " uncommitted ",
                  known.uncommitted ? ConfigurationText(*known.uncommitted) : "none", "\n");
    for (const EpochStart& epoch : log->epochs())
      out += StrCat("epoch ", epoch.term, " index ", epoch.index, " offset ", epoch.offset, "\n");
    for (const Entry& entry : ReadAll(group)) {
      const EntryHeader& header = entry.header;
      out += StrCat("entry ", header.first_index, " kind ", static_cast<int>(header.kind), " term ",
                    header.term, " offsets ", header.base_offset, " to ", header.last_offset,
                    " time ", header.append_time, " bytes ", entry.frame.size(), " crc ",
                    Crc32c(entry.frame.view()), "\n");
    }
  }
  return out;
}

Entry GoldenData(const PartitionLog& log, Codec codec, int records) {
  EntryHeader header = Next(log, EntryKind::kData);
  RecordBatchBuilder builder({.codec = codec});
  for (int i = 0; i < records; ++i) {
    const Offset offset = header.base_offset + i;
    const std::string value =
        StrCat("record ", offset, " of group ", log.group(), std::string(offset.value() % 97, '.'));
    VARVE_CHECK(builder.Add(header.append_time, StrCat("key ", offset.value() % 7), value).ok());
  }
  header.last_offset = header.base_offset + (records - 1);
  return FrameBuffer::Copy(*builder.Build()).Seal(header);
}

void MakeGoldenDirectory(GoldenHost* host) {
  VARVE_CHECK(host->Open().ok());
  for (const GroupId group : {kMetadataGroup, kCodecs, kTruncated, kRolled, kRemoved}) {
    host->Create(group, ReplicaEpoch{1}, true);
    Lead(host, group, Term{1});
  }
  AppendData(host, kRemoved, 3, 5);
  AppendData(host, kRolled, 20, 40);
  host->Write(kRolled, SegmentStartOf(host->log(kRolled)));
  AppendData(host, kTruncated, 4, 3);
  NotePeer(host, NodeId{2}, 1, 3);
  NotePeer(host, NodeId{2}, 2, 4);  // on another disk
  host->Close();

  // A second life: what is closed now lies in segments, the rest only in the journal.
  VARVE_CHECK(host->Open().ok());
  for (int codec = 0; codec < kCodecCount; ++codec)
    host->Write(kCodecs, One(GoldenData(host->log(kCodecs), static_cast<Codec>(codec), 30)));
  AppendData(host, kRolled, 5, 10);
  host->Write(kRolled, SegmentStartOf(host->log(kRolled)));
  AppendData(host, kRolled, 2, 10);
  // A truncation across a segment start, another leader's entries behind it, and a configuration
  // that is not committed.
  host->Write(kTruncated, SegmentStartOf(host->log(kTruncated)));
  AppendData(host, kTruncated, 2, 3);
  LogWrite replace;
  replace.truncate_from = Index{5};
  replace.hard_state = HardState{Term{3}, {}};
  host->Write(kTruncated, std::move(replace));
  const Configuration joint = Voters({{NodeId{1}, ReplicaEpoch{1}}, {NodeId{2}, ReplicaEpoch{1}}});
  LogWrite change = One(FrameBuffer::Copy(EncodeConfiguration(joint))
                            .Seal(Next(host->log(kTruncated), EntryKind::kConfig)));
  change.configurations = host->log(kTruncated).configurations();
  change.configurations->uncommitted =
      ConfigurationAt{host->log(kTruncated).end().last_index + 1, joint};
  change.commit_index = Index{4};
  host->Write(kTruncated, std::move(change));
  AppendData(host, kTruncated, 2, 4);
  NotePeer(host, NodeId{3}, 3, 5);
  host->Create(kJoiner, ReplicaEpoch{4}, false);
  host->Remove(kRemoved);
  host->PowerLoss();
}

}  // namespace varve::storage
