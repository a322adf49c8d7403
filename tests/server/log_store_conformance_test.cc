// What raft::LogStore promises, asked of the segment log through its adapter and of the log in
// memory that stands in for it in the tests of raft.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/meta_entry.h"
#include "common/strings.h"
#include "tests/server/log_store_hosts.h"

namespace varve::server {
namespace {

using storage::BarrierEntry;
using storage::DataEntry;
using storage::LogImage;
using ::testing::ElementsAre;

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<LogStoreHost>(uint64_t seed)> make;
};

template <class Host>
Implementation Of(std::string name) {
  return {std::move(name), [](uint64_t seed) { return std::make_unique<Host>(seed); }};
}

std::vector<LogEnd> EndsOf(const LogImage& image) {
  std::vector<LogEnd> ends;
  for (const Entry& entry : image.entries) {
    const LogEnd end = storage::EndAfter(entry);
    if (end.last_index <= image.commit_index) ends.clear();
    ends.push_back(end);
  }
  return ends;
}

// Empty when the log shows `image`, else what differs.
std::string Difference(const raft::LogStore& log, const LogImage& image) {
  if (log.end() != image.end())
    return StrCat("end at ", log.end().last_index, ", not ", image.end().last_index);
  if (log.start() != image.start) return "log start";
  if (log.hard_state() != image.hard_state) return "hard state";
  if (log.commit_index() != image.commit_index)
    return StrCat("commit index ", log.commit_index(), ", not ", image.commit_index);
  if (log.configurations() != image.configurations) return "configurations";
  if (log.epochs() != image.epochs()) return "epochs";
  if (log.ends() != EndsOf(image)) return "ends";
  return "";
}

// Writes to one log and remembers every state that it asked for.
class Writer {
 public:
  Writer(LogStoreHost* host, uint64_t seed) : host_(host), random_(SeededRandom(seed)) {
    EntryHeader header;
    header.kind = EntryKind::kMeta;
    header.group = kConformanceGroup;
    header.first_index = header.last_index = Index{1};
    header.last_offset = Offset{-1};
    header.append_time = storage::TestBootstrap().append_time;
    LogImage image;
    const SegmentStart body{Index{0}, storage::OneVoter(), {}, {}};
    image.entries = {FrameBuffer::Copy(EncodeMeta(body)).Seal(header)};
    image.commit_index = Index{1};
    image.configurations = host_->store().configurations();
    images_ = {std::move(image)};
  }

  [[nodiscard]] const LogImage& image() const { return images_.back(); }
  [[nodiscard]] const std::vector<absl::Status>& answers() const { return answers_; }

  // --- One write each
  void NewTerm() {
    LogImage after = image();
    after.hard_state = {after.hard_state.term + 1, {NodeId{1}, ReplicaEpoch{1}}};
    LogWrite write;
    write.hard_state = after.hard_state;
    Add(BarrierEntry(kConformanceGroup, after.end(), after.hard_state.term), &write, &after);
    Send(std::move(write), std::move(after));
  }
  void Vote(Term term, NodeId node) {
    LogImage after = image();
    after.hard_state = {term, {node, ReplicaEpoch{1}}};
    LogWrite write;
    write.hard_state = after.hard_state;
    Send(std::move(write), std::move(after));
  }
  void Append(int entries) {
    LogImage after = image();
    LogWrite write;
    AddData(entries, &write, &after);
    Send(std::move(write), std::move(after));
  }
  void Replace(Index from, int entries) {
    LogImage after = image();
    LogWrite write;
    write.truncate_from = from;
    while (after.end().last_index >= from) after.entries.pop_back();
    after.hard_state = {after.hard_state.term + 1, {}};
    write.hard_state = after.hard_state;
    AddData(entries, &write, &after);
    Send(std::move(write), std::move(after));
  }
  void Commit(Index through) {
    LogImage after = image();
    after.commit_index = through;
    Send({}, std::move(after));
  }
  void Configure(NodeId voter) {
    LogImage after = image();
    after.configurations.uncommitted =
        ConfigurationAt{after.end().last_index, storage::OneVoter(voter)};
    LogWrite write;
    write.configurations = after.configurations;
    Send(std::move(write), std::move(after));
  }
  void AnyOf() {
    if (image().hard_state.term == Term{0}) return NewTerm();  // a restart took the first
    const Index commit = image().commit_index;
    const auto above = image().end().last_index - commit;
    switch (random_->Below(7)) {
      case 0:
        return NewTerm();
      case 1:
        return Vote(image().hard_state.term + 1, NodeId{2});
      case 2:
        if (above > 0)
          return Replace(commit + 1 + random_->Below(above), static_cast<int>(random_->Below(3)));
        break;
      case 3:
        return Commit(commit + random_->Below(above + 1));
      case 4:
        return Configure(NodeId{static_cast<uint32_t>(1 + random_->Below(5))});
      default:
        break;
    }
    Append(1 + static_cast<int>(random_->Below(3)));
  }

  // --- Waiting
  // Until every write has its answer.
  void Settle() {
    ASSERT_TRUE(
        host_->scheduler().RunUntil([&] { return answers_.size() == sent_; }, 10 * kSecond));
  }
  // Power loss and restart; goes on from what the log then shows, which must be one of the states
  // asked for since the last that was acknowledged.
  void Restart() {
    ++life_;
    host_->Restart();
    std::string differences;
    for (size_t at = acknowledged_; at < images_.size(); ++at) {
      const std::string difference = Difference(host_->store(), images_[at]);
      if (difference.empty()) {
        images_ = {images_[at]};
        acknowledged_ = 0;
        answers_.clear();
        sent_ = 0;
        return;
      }
      differences += StrCat("\n  write ", at, ": ", difference);
    }
    FAIL() << "the log shows nothing that was asked for since write " << acknowledged_
           << differences;
  }

 private:
  void Add(Entry entry, LogWrite* write, LogImage* after) {
    after->entries.push_back(entry);
    write->entries.push_back(std::move(entry));
  }
  void AddData(int entries, LogWrite* write, LogImage* after) {
    for (int i = 0; i < entries; ++i)
      Add(DataEntry(kConformanceGroup, after->end(), after->hard_state.term,
                    1 + static_cast<int>(random_->Below(3)), random_->Below(900)),
          write, after);
  }
  void Send(LogWrite write, LogImage after) {
    write.commit_index = after.commit_index;
    size_t bytes = 0;
    for (const Entry& entry : write.entries)
      if (!entry.header.zero_width()) bytes += entry.frame.size();
    if (bytes > 0) host_->Reserve(bytes);
    images_.push_back(std::move(after));
    ++sent_;
    host_->shard().Post(
        [this, at = images_.size() - 1, life = life_, write = std::move(write)]() mutable {
          in_call_ = true;
          host_->store().Write(std::move(write), [this, at, life](const absl::Status& status) {
            if (life != life_) return;
            EXPECT_TRUE(host_->shard().InExecutor());
            EXPECT_FALSE(in_call_) << "answered from within the call";
            answers_.push_back(status);
            if (!status.ok()) return;
            EXPECT_EQ(at, acknowledged_ + 1) << "out of order";
            acknowledged_ = at;
          });
          in_call_ = false;
        });
  }

  LogStoreHost* const host_;
  const std::unique_ptr<Random> random_;
  std::vector<LogImage> images_;
  std::vector<absl::Status> answers_;
  size_t sent_ = 0;
  size_t acknowledged_ = 0;  // index into images_
  uint64_t life_ = 0;        // answers of earlier lives are ignored
  bool in_call_ = false;
};

class LogStoreConformance : public testing::TestWithParam<Implementation> {
 protected:
  void Expect(const LogImage& image) { EXPECT_EQ(Difference(store(), image), ""); }
  raft::LogStore& store() { return host->store(); }

  const std::unique_ptr<LogStoreHost> host = GetParam().make(1);
  Writer writer{host.get(), 1};
};

INSTANTIATE_TEST_SUITE_P(All, LogStoreConformance,
                         testing::Values(Of<SegmentLogHost>("SegmentLog"),
                                         Of<MemoryLogHost>("Memory")),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(LogStoreConformance, AFreshLogHoldsItsCommittedBootstrapEntry) {
  EXPECT_EQ(store().end().last_index, Index{1});
  EXPECT_EQ(store().end().next_offset, Offset{0});
  EXPECT_EQ(store().start(), LogStart{});
  EXPECT_EQ(store().commit_index(), Index{1});
  EXPECT_EQ(store().hard_state(), HardState{});
  EXPECT_EQ(store().configurations().committed.configuration, storage::OneVoter());
  EXPECT_FALSE(store().configurations().uncommitted.has_value());
  EXPECT_THAT(store().ends(), ElementsAre(store().end()));
  EXPECT_THAT(store().epochs(), ElementsAre(EpochStart{Term{0}, Index{1}, Offset{0}}));
  Expect(writer.image());
}

TEST_P(LogStoreConformance, AWriteAppliesAllItsParts) {
  writer.NewTerm();
  writer.Append(3);
  writer.Configure(NodeId{2});
  writer.Commit(Index{3});
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(store().end().last_index, Index{5});
  EXPECT_EQ(store().hard_state().term, Term{1});
  EXPECT_EQ(store().commit_index(), Index{3});
  Expect(writer.image());
}

TEST_P(LogStoreConformance, AWriteWithoutEntriesKeepsTheLog) {
  writer.Vote(Term{7}, NodeId{3});
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(store().hard_state(), (HardState{Term{7}, {NodeId{3}, ReplicaEpoch{1}}}));
  EXPECT_EQ(store().end().last_index, Index{1});
  Expect(writer.image());
}

TEST_P(LogStoreConformance, TheCommitIndexIsNeverLowered) {
  writer.NewTerm();
  writer.Append(3);
  writer.Commit(Index{4});
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  std::optional<absl::Status> answer;
  host->shard().Post([&] {
    LogWrite write;
    write.commit_index = Index{2};
    store().Write(std::move(write), [&](const absl::Status& status) { answer = status; });
  });
  ASSERT_TRUE(host->scheduler().RunUntil([&] { return answer.has_value(); }, kSecond));
  EXPECT_EQ(*answer, absl::OkStatus());
  Expect(writer.image());
}

TEST_P(LogStoreConformance, ReplacedEntriesTakeTheirTermsAlong) {
  writer.NewTerm();
  writer.Append(2);
  writer.Commit(Index{2});
  writer.NewTerm();
  writer.Append(2);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(store().epochs().size(), 3U);
  writer.Replace(Index{4}, 0);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(store().end().last_index, Index{3});
  EXPECT_EQ(store().epochs().size(), 2U);
  Expect(writer.image());
  writer.Replace(Index{3}, 4);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(store().epochs().back(), (EpochStart{Term{4}, Index{3}, Offset{0}}));
  Expect(writer.image());
}

TEST_P(LogStoreConformance, ManyWritesAtOnceAreAnsweredInTheirOrder) {
  writer.NewTerm();
  for (int i = 0; i < 50; ++i) writer.Append(1);  // the callbacks check the order
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  EXPECT_EQ(writer.answers().size(), 51U);
  EXPECT_THAT(writer.answers(), testing::Each(absl::OkStatus()));
  Expect(writer.image());
}

TEST_P(LogStoreConformance, WhatWasAcknowledgedSurvivesAPowerLoss) {
  writer.NewTerm();
  writer.Append(3);
  writer.Vote(Term{5}, NodeId{2});
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  const LogImage before = writer.image();
  ASSERT_NO_FATAL_FAILURE(writer.Restart());
  Expect(before);
  writer.Append(2);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  Expect(writer.image());
}

TEST_P(LogStoreConformance, AfterAFailureEveryWriteIsRefusedAndNothingIsLost) {
  writer.NewTerm();
  writer.Append(2);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  host->BreakDisk();
  for (int i = 0; i < 3; ++i) {
    writer.Vote(Term{10} + i, NodeId{2});
    ASSERT_NO_FATAL_FAILURE(writer.Settle());
    EXPECT_EQ(ReasonOf(writer.answers().back()), Reason::DISK_FAILED) << writer.answers().back();
  }
  ASSERT_NO_FATAL_FAILURE(writer.Restart());
  writer.Append(1);
  ASSERT_NO_FATAL_FAILURE(writer.Settle());
  Expect(writer.image());
}

// Any writes, several under way, power losses in between: the log is always one that was asked for,
// and never one from before what was acknowledged.
TEST_P(LogStoreConformance, RandomWritesAndPowerLosses) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    const auto random = SeededRandom(seed ^ 0x109);
    const std::unique_ptr<LogStoreHost> tested = GetParam().make(seed);
    Writer any(tested.get(), seed);
    any.NewTerm();
    for (int step = 0; step < 40; ++step) {
      any.AnyOf();
      if (random->OneIn(3)) {
        ASSERT_NO_FATAL_FAILURE(any.Settle());
        ASSERT_EQ(Difference(tested->store(), any.image()), "");
      }
      if (random->OneIn(4)) tested->scheduler().RunFor(random->Below(3 * kMillisecond));
      if (random->OneIn(10)) {
        ASSERT_NO_FATAL_FAILURE(any.Restart());
      }
    }
  }
}

}  // namespace
}  // namespace varve::server
