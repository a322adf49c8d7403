// Writes the seed inputs of record_batch_fuzz and entry_fuzz below the directory given. The seeds
// are kept in tests/fuzz/corpus; run this again when a format gains something that mutation hardly
// finds.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common/check.h"
#include "common/config.h"
#include "common/entry.h"
#include "common/meta_entry.h"
#include "common/record_batch_builder.h"

namespace varve {
namespace {

void Write(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  VARVE_CHECK(out.good(), path.string());
}

std::string Batch(Codec codec, int records) {
  RecordBatchBuilder builder({.codec = codec});
  const RecordHeaderView headers[] = {{"trace", "abc"}, {"empty", std::nullopt}};
  for (int i = 0; i < records; ++i) {
    const std::string value(static_cast<size_t>(i * 17 % 90), 'v');
    const auto key = i % 3 == 0 ? std::nullopt : std::optional<std::string_view>("key");
    const auto added = builder.Add(WallTime{1000 + i % 7}, key, value,
                                   std::span(headers).first(static_cast<size_t>(i % 3)));
    VARVE_CHECK(added.ok());
  }
  return *builder.Build();
}

Entry Seal(EntryKind kind, std::string_view payload, int64_t records) {
  EntryHeader header;
  header.kind = kind;
  header.group = GroupId{70'000};
  header.first_index = Index{5};
  header.last_index = Index{5};
  header.term = Term{3};
  header.base_offset = Offset{100};
  header.last_offset = Offset{99 + records};
  header.append_time = WallTime{1'700'000'000'000};
  return FrameBuffer::Copy(payload).Seal(header);
}

SegmentStart Start() {
  SegmentStart start;
  start.config_index = Index{2};
  start.config.voters = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{2}, ReplicaEpoch{1}}};
  start.config.outgoing = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{3}, ReplicaEpoch{1}}};
  start.config.learners_next = {{NodeId{3}, ReplicaEpoch{1}}};
  start.config.auto_leave = true;
  start.epochs = {{Term{1}, Index{1}, Offset{0}}, {Term{3}, Index{4}, Offset{50}}};
  start.digest = {{1, 2}, 3};
  return start;
}

void WriteAll(const std::filesystem::path& directory) {
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    const std::string name(CodecName(codec));
    Write(directory / "record_batch_fuzz" / (name + "_1"), Batch(codec, 1));
    Write(directory / "record_batch_fuzz" / (name + "_40"), Batch(codec, 40));
  }
  const std::filesystem::path entries = directory / "entry_fuzz";
  Write(entries / "data", Seal(EntryKind::kData, Batch(Codec::kNone, 2), 2).frame.view());
  Write(entries / "barrier", Seal(EntryKind::kBarrier, "", 0).frame.view());
  const std::string config = EncodeConfiguration(Start().config);
  Write(entries / "config", Seal(EntryKind::kConfig, config, 0).frame.view());
  Write(entries / "config_body", config);
  const std::string start = EncodeMeta(Start());
  Write(entries / "segment_start", Seal(EntryKind::kMeta, start, 0).frame.view());
  Write(entries / "segment_start_body", start);
  Write(entries / "trim_body", EncodeMeta(Trim{Offset{77}}));
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus DIRECTORY\n");
    return 2;
  }
  varve::WriteAll(argv[1]);
  return 0;
}
