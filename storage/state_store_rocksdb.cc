// StateStore on RocksDB.
//
// Keys: group id and generation, 8 bytes each, big-endian so that a fold is one range, then the
// user's key. Group 0 is no group; its range holds the store's own rows: generation 0 the format
// version, generation 1 one row per fold (key: group id; value: generation, index, term). A fold's
// row and its values change in one write batch of one column family, so no flush can part them.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/bytes.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/state_store.h"
#include "storage/state_store_errors.h"

namespace varve::storage {
namespace {

constexpr uint64_t kFormatVersion = 1;
constexpr uint64_t kFormatRange = 0;  // "generations" of group 0
constexpr uint64_t kFoldRange = 1;
constexpr size_t kPrefixBytes = 16;
constexpr size_t kFoldRowBytes = 24;

std::string RangePrefix(GroupId group, uint64_t generation) {
  std::string out(kPrefixBytes, '\0');
  StoreBig<uint64_t>(out.data(), group.value());
  StoreBig<uint64_t>(out.data() + 8, generation);
  return out;
}

std::string ValueKey(GroupId group, uint64_t generation, std::string_view key) {
  return RangePrefix(group, generation).append(key);
}

std::string FoldRowKey(GroupId group) {
  std::string key = RangePrefix(GroupId{}, kFoldRange);
  key.resize(kPrefixBytes + 8);
  StoreBig<uint64_t>(key.data() + kPrefixBytes, group.value());
  return key;
}

std::string EncodeNumber(uint64_t v) {
  std::string out;
  ByteWriter(&out).Put<uint64_t>(v);
  return out;
}

std::string EncodeFoldRow(const StateStore::Fold& fold) {
  std::string out;
  ByteWriter writer(&out);
  writer.Put<uint64_t>(fold.generation);
  writer.Put<uint64_t>(fold.position.applied.value());
  writer.Put<uint64_t>(fold.position.term.value());
  return out;
}

// First key after all keys that begin with `prefix`; empty when there is none.
std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// RocksDB would write a log of its own into the directory; what matters is in the statuses.
class NoInfoLog final : public rocksdb::Logger {
 public:
  NoInfoLog() : rocksdb::Logger(rocksdb::InfoLogLevel::FATAL_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view path,
                         std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  // A file that the manifest names and that is gone is damage, not a failing disk.
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotSupported() ||
      status.IsInvalidArgument()) {
    return MakeError(
        Reason::DATA_LOSS, "state store ", path, ": ", what, ": ", text,
        "; it is a cache: stop the broker and delete this directory to have it rebuilt");
  }
  if (text.find("lock ") != std::string::npos && status.IsIOError() && what == "open")
    return MakeError(Reason::DIRECTORY_IN_USE, "state store ", path, ": ", what, ": ", text);
  return MakeError(Reason::DISK_FAILED, "state store ", path, ": ", what, ": ", text);
}

// Small on purpose: folds are small, and a whole idle broker has to fit into 64 MiB.
rocksdb::Options StoreOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.atomic_flush = true;
  // Nothing unasked for becomes durable at the end: a stop and a crash leave the same kind of
  // state.
  options.avoid_flush_during_shutdown = true;
  options.info_log = std::make_shared<NoInfoLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.write_buffer_size = 4 * limits::kMiB;
  options.arena_block_size = 64 * limits::kKiB;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  options.max_open_files = 64;
  options.max_file_opening_threads = 1;
  options.table_cache_numshardbits = 2;
  options.max_manifest_file_size = limits::kMiB;
  options.target_file_size_base = 8 * limits::kMiB;
  options.max_bytes_for_level_base = 32 * limits::kMiB;
  options.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8 * limits::kMiB, 1);
  table.cache_index_and_filter_blocks = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksDbStateStore final : public StateStore {
 public:
  RocksDbStateStore(std::string path, std::unique_ptr<rocksdb::DB> db)
      : path_(std::move(path)), db_(std::move(db)) {
    write_options_.disableWAL = true;
  }

  // Checks the format row and reads the rows of the folds. Before anything else, by one thread.
  absl::Status Load();

  absl::StatusOr<std::optional<Fold>> FindFold(GroupId group) override;
  absl::StatusOr<uint64_t> BeginFold(GroupId group) override;
  absl::Status DropFold(GroupId group) override;
  absl::Status Apply(GroupId group, uint64_t generation, const StateBatch& batch,
                     FoldPosition position) override;
  absl::StatusOr<std::optional<std::string>> Get(GroupId group, uint64_t generation,
                                                 std::string_view key) override;
  absl::Status Scan(GroupId group, uint64_t generation, std::string_view prefix,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) override;
  absl::Status Flush() override;

 private:
  [[nodiscard]] absl::Status Mapped(const rocksdb::Status& status, std::string_view what) const {
    return FromRocksDb(status, path_, what);
  }
  absl::Status BeginStore();
  absl::Status LoadFolds();
  void DeleteFold(GroupId group, const Fold& fold, rocksdb::WriteBatch* batch);

  const std::string path_;
  const std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_options_;
  // Held over a write, so that the check of a generation and the write are one step.
  absl::Mutex mutex_;
  std::map<GroupId, Fold> folds_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

absl::Status RocksDbStateStore::Load() {
  std::string version;
  const rocksdb::Status found =
      db_->Get(rocksdb::ReadOptions(), RangePrefix(GroupId{}, kFormatRange), &version);
  if (found.IsNotFound()) return BeginStore();
  VARVE_RETURN_IF_ERROR(Mapped(found, "read format"));
  ByteReader reader(version);
  const uint64_t number = reader.Get<uint64_t>();
  if (!reader.ok() || reader.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, "state store ", path_, ": its format row has ",
                     version.size(), " bytes instead of 8");
  }
  if (number > kFormatVersion) {
    return MakeError(Reason::NEWER_FORMAT, "state store ", path_, ": format ", number,
                     ", this varve reads up to ", kFormatVersion);
  }
  return LoadFolds();
}

// The first memtable begins with the format row: whatever of the store survives, the row does too.
absl::Status RocksDbStateStore::BeginStore() {
  const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(rocksdb::ReadOptions()));
  rows->SeekToFirst();
  VARVE_RETURN_IF_ERROR(Mapped(rows->status(), "read"));
  if (rows->Valid()) {
    return MakeError(Reason::DATA_LOSS, "state store ", path_,
                     ": a database of something else lies here; choose another directory");
  }
  return Mapped(
      db_->Put(write_options_, RangePrefix(GroupId{}, kFormatRange), EncodeNumber(kFormatVersion)),
      "write format");
}

absl::Status RocksDbStateStore::LoadFolds() {
  const absl::MutexLock lock(&mutex_);
  const std::string prefix = RangePrefix(GroupId{}, kFoldRange);
  const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(rocksdb::ReadOptions()));
  for (rows->Seek(prefix); rows->Valid() && rows->key().starts_with(prefix); rows->Next()) {
    if (rows->key().size() != kPrefixBytes + 8 || rows->value().size() != kFoldRowBytes)
      return MakeError(Reason::DATA_LOSS, "state store ", path_, ": malformed row of a fold");
    const GroupId group(LoadBig<uint64_t>(rows->key().data() + kPrefixBytes));
    ByteReader reader(ToView(rows->value()));
    Fold fold;
    fold.generation = reader.Get<uint64_t>();
    fold.position.applied = Index(reader.Get<uint64_t>());
    fold.position.term = Term(reader.Get<uint64_t>());
    if (group == GroupId{} || fold.generation == 0 || fold.generation + 1 == 0)
      return MakeError(Reason::DATA_LOSS, "state store ", path_, ": impossible row of group ",
                       group);
    last_generation_ = std::max(last_generation_, fold.generation);
    folds_.emplace(group, fold);
  }
  return Mapped(rows->status(), "read folds");
}

absl::StatusOr<std::optional<StateStore::Fold>> RocksDbStateStore::FindFold(GroupId group) {
  const absl::MutexLock lock(&mutex_);
  const auto found = folds_.find(group);
  if (found == folds_.end()) return std::optional<Fold>();
  return std::optional<Fold>(found->second);
}

void RocksDbStateStore::DeleteFold(GroupId group, const Fold& fold, rocksdb::WriteBatch* batch) {
  batch->DeleteRange(RangePrefix(group, fold.generation), RangePrefix(group, fold.generation + 1));
  batch->Delete(FoldRowKey(group));
}

absl::StatusOr<uint64_t> RocksDbStateStore::BeginFold(GroupId group) {
  const absl::MutexLock lock(&mutex_);
  rocksdb::WriteBatch batch;
  if (const auto found = folds_.find(group); found != folds_.end())
    DeleteFold(group, found->second, &batch);
  const Fold fold{last_generation_ + 1, FoldPosition{}};
  batch.Put(FoldRowKey(group), EncodeFoldRow(fold));
  VARVE_RETURN_IF_ERROR(Mapped(db_->Write(write_options_, &batch), "begin fold"));
  last_generation_ = fold.generation;
  folds_.insert_or_assign(group, fold);
  return fold.generation;
}

absl::Status RocksDbStateStore::DropFold(GroupId group) {
  const absl::MutexLock lock(&mutex_);
  const auto found = folds_.find(group);
  if (found == folds_.end()) return absl::OkStatus();
  rocksdb::WriteBatch batch;
  DeleteFold(group, found->second, &batch);
  VARVE_RETURN_IF_ERROR(Mapped(db_->Write(write_options_, &batch), "drop fold"));
  folds_.erase(found);
  return absl::OkStatus();
}

absl::Status RocksDbStateStore::Apply(GroupId group, uint64_t generation, const StateBatch& batch,
                                      FoldPosition position) {
  const absl::MutexLock lock(&mutex_);
  const auto found = folds_.find(group);
  if (found == folds_.end() || found->second.generation != generation)
    return StaleGeneration(group, generation);
  if (position.applied < found->second.position.applied)
    return PositionWentBack(group, found->second.position, position);
  rocksdb::WriteBatch write;
  for (const StateBatch::Change& change : batch.changes()) {
    const std::string key = ValueKey(group, generation, change.key);
    if (change.value) {
      write.Put(key, *change.value);
    } else {
      write.Delete(key);
    }
  }
  const Fold fold{generation, position};
  write.Put(FoldRowKey(group), EncodeFoldRow(fold));
  VARVE_RETURN_IF_ERROR(Mapped(db_->Write(write_options_, &write), "apply"));
  found->second = fold;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> RocksDbStateStore::Get(GroupId group,
                                                                  uint64_t generation,
                                                                  std::string_view key) {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), ValueKey(group, generation, key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  VARVE_RETURN_IF_ERROR(Mapped(status, "read"));
  return std::optional<std::string>(std::move(value));
}

absl::Status RocksDbStateStore::Scan(
    GroupId group, uint64_t generation, std::string_view prefix,
    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) {
  const std::string begin = ValueKey(group, generation, prefix);
  const std::string end = PrefixEnd(begin);
  const rocksdb::Slice upper_bound = ToSlice(end);
  rocksdb::ReadOptions options;
  if (!end.empty()) options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(options));
  for (rows->Seek(begin); rows->Valid(); rows->Next()) {
    const std::string_view key = ToView(rows->key()).substr(kPrefixBytes);
    if (!visit(key, ToView(rows->value()))) return absl::OkStatus();
  }
  return Mapped(rows->status(), "scan");
}

absl::Status RocksDbStateStore::Flush() {
  return Mapped(db_->Flush(rocksdb::FlushOptions()), "flush");
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(const std::string& path) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened = rocksdb::DB::Open(StoreOptions(), path, &db);
  VARVE_RETURN_IF_ERROR(FromRocksDb(opened, path, "open"));
  auto store = std::make_unique<RocksDbStateStore>(path, std::unique_ptr<rocksdb::DB>(db));
  VARVE_RETURN_IF_ERROR(store->Load());
  return store;
}

}  // namespace varve::storage
