#include "storage/format/journal_frame.h"

#include <limits>
#include <utility>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "storage/defect.h"
#include "storage/format/replica_record.h"

namespace varve::storage {
namespace {

constexpr size_t kLengthAt = 0;
constexpr size_t kCrcAt = 4;
constexpr size_t kCoveredFrom = 8;
constexpr uint8_t kFrameVersion = 1;
constexpr size_t kStepHeaderBytes = 8;

enum class StepType : uint8_t {
  kCreate = 1,
  kRemove = 2,
  kTruncate = 3,
  kAppend = 4,
  kSegmentSet = 5,
  kConfigurations = 6,
  kPeerMarks = 7,
};

StepType TypeOf(const JournalStep& step) { return static_cast<StepType>(step.index() + 1); }
static_assert(std::is_same_v<std::variant_alternative_t<0, JournalStep>, CreateReplicaStep>);
static_assert(std::is_same_v<std::variant_alternative_t<3, JournalStep>, AppendStep>);
static_assert(std::is_same_v<std::variant_alternative_t<5, JournalStep>, ConfigurationsStep>);
static_assert(std::is_same_v<std::variant_alternative_t<6, JournalStep>, PeerMarksStep>);

// The bodies, but for the entries of an append.
void PutBody(const CreateReplicaStep&, ByteWriter*) {}
void PutBody(const RemoveReplicaStep&, ByteWriter*) {}
void PutBody(const TruncateStep& step, ByteWriter* out) {
  out->Put(step.from.value());
  out->Put(step.file.value());
  out->Put(step.position);
}
void PutBody(const AppendStep& step, ByteWriter* out) {
  out->Put(step.file.value());
  out->Put(step.position);
}
void PutBody(const SegmentSetStep& step, ByteWriter* out) {
  out->Put(static_cast<uint32_t>(step.removed.size()));
  for (const FileNumber file : step.removed) out->Put(file.value());
  PutSegmentRefs(step.put, out);
}
void PutBody(const ConfigurationsStep& step, ByteWriter* out) {
  PutConfigurations(step.configurations, out);
}
void PutBody(const PeerMarksStep& step, ByteWriter* out) { PutPeerMarks(step.marks, out); }

absl::StatusOr<JournalStep> GetTruncate(ByteReader* in) {
  TruncateStep step;
  step.from = Index{in->Get<uint64_t>()};
  step.file = FileNumber{in->Get<uint64_t>()};
  step.position = in->Get<uint64_t>();
  return JournalStep(step);
}

// `body` is the buffer that `in` reads.
absl::StatusOr<JournalStep> GetAppend(const SharedBytes& body, ByteReader* in) {
  AppendStep step;
  step.file = FileNumber{in->Get<uint64_t>()};
  step.position = in->Get<uint64_t>();
  while (in->ok() && in->remaining() > 0) {
    const size_t at = in->position();
    VARVE_ASSIGN_OR_RETURN(const EntryHeader header, DecodeEntryHeader(body.view().substr(at)));
    if (header.frame_bytes() > in->remaining()) {
      return MakeError(Reason::DATA_LOSS, "append: entry ", header.first_index, " of ",
                       header.frame_bytes(), " bytes in ", in->remaining());
    }
    in->GetBytes(header.frame_bytes());
    step.entries.push_back(Entry{header, body.Slice(at, header.frame_bytes())});
  }
  if (step.entries.empty()) return MakeError(Reason::DATA_LOSS, "append without entries");
  return JournalStep(std::move(step));
}

absl::StatusOr<JournalStep> GetSegmentSet(ByteReader* in) {
  SegmentSetStep step;
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || in->remaining() / sizeof(uint64_t) < count) {
    return MakeError(Reason::DATA_LOSS, "segment set: ", count, " files leave in ", in->remaining(),
                     " bytes");
  }
  step.removed.reserve(count);
  for (uint32_t i = 0; i < count; ++i) step.removed.push_back(FileNumber{in->Get<uint64_t>()});
  VARVE_ASSIGN_OR_RETURN(step.put, GetSegmentRefs(in));
  return JournalStep(std::move(step));
}

absl::StatusOr<JournalStep> GetBody(StepType type, const SharedBytes& body, ByteReader* in) {
  switch (type) {
    case StepType::kCreate:
      return JournalStep(CreateReplicaStep{});
    case StepType::kRemove:
      return JournalStep(RemoveReplicaStep{});
    case StepType::kTruncate:
      return GetTruncate(in);
    case StepType::kAppend:
      return GetAppend(body, in);
    case StepType::kSegmentSet:
      return GetSegmentSet(in);
    case StepType::kConfigurations: {
      VARVE_ASSIGN_OR_RETURN(auto configurations, GetConfigurations(in));
      return JournalStep(ConfigurationsStep{std::move(configurations)});
    }
    case StepType::kPeerMarks: {
      VARVE_ASSIGN_OR_RETURN(auto marks, GetPeerMarks(in));
      return JournalStep(PeerMarksStep{std::move(marks)});
    }
  }
  return MakeError(Reason::DATA_LOSS, "unknown step type ", static_cast<int>(type));
}

absl::StatusOr<JournalStep> GetStep(const SharedBytes& frame, ByteReader* in) {
  const auto type = static_cast<StepType>(in->Get<uint8_t>());
  in->Get<uint8_t>();
  in->Get<uint16_t>();
  const auto body_bytes = in->Get<uint32_t>();
  const size_t at = in->position();
  in->GetBytes(body_bytes);
  if (!in->ok()) {
    return MakeError(Reason::DATA_LOSS, "step of ", body_bytes, " bytes in ", in->remaining());
  }
  const SharedBytes body = frame.Slice(at, body_bytes);
  ByteReader body_in(body.view());
  VARVE_ASSIGN_OR_RETURN(JournalStep step, GetBody(type, body, &body_in));
  if (!body_in.ok() || body_in.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, "step of type ", static_cast<int>(type), " with ",
                     body_bytes, " bytes");
  }
  return step;
}

}  // namespace

FrameImage FrameImage::Of(const JournalFrame& frame) {
  VARVE_CHECK(frame.steps.size() <= std::numeric_limits<uint16_t>::max(), frame.steps.size(),
              " steps in one frame");
  FrameImage image;
  size_t entry_bytes = 0;
  ByteWriter out(&image.own_);
  out.Put(uint32_t{0});
  out.Put(uint32_t{0});
  out.Put(frame.group.value());
  out.Put(frame.sequence.value());
  out.Put(frame.replica_epoch.value());
  out.Put(kFrameVersion);
  out.Put(uint8_t{0});
  out.Put(static_cast<uint16_t>(frame.steps.size()));
  PutScalars(frame.scalars, &out);
  for (const JournalStep& step : frame.steps) {
    const size_t entries_before = entry_bytes;
    out.Put(static_cast<uint8_t>(TypeOf(step)));
    out.Put(uint8_t{0});
    out.Put(uint16_t{0});
    const size_t length_at = out.size();
    out.Put(uint32_t{0});
    std::visit([&out](const auto& s) { PutBody(s, &out); }, step);
    if (const auto* append = std::get_if<AppendStep>(&step)) {
      for (const Entry& entry : append->entries) {
        image.inserts_.push_back({out.size(), entry.frame});
        entry_bytes += entry.frame.size();
      }
    }
    const size_t body = out.size() - length_at - sizeof(uint32_t) + entry_bytes - entries_before;
    StoreLittle(image.own_.data() + length_at, static_cast<uint32_t>(body));
  }
  image.bytes_ = image.own_.size() + entry_bytes;
  VARVE_CHECK(image.bytes_ <= kMaxFrameBytes, "journal frame of ", image.bytes_, " bytes");
  StoreLittle(image.own_.data() + kLengthAt, static_cast<uint32_t>(image.bytes_));
  return image;
}

void FrameImage::Seal(uint32_t seed) {
  const std::string_view own = own_;
  uint32_t crc = ExtendCrc32c(seed, own.substr(0, kCrcAt));
  size_t at = kCoveredFrom;
  for (const Insert& insert : inserts_) {
    crc = ExtendCrc32c(crc, own.substr(at, insert.at - at));
    crc = ExtendCrc32c(crc, insert.entry.view());
    at = insert.at;
  }
  StoreLittle(own_.data() + kCrcAt, ExtendCrc32c(crc, own.substr(at)));
}

void FrameImage::AppendPieces(std::vector<std::string_view>* pieces) const {
  const std::string_view own = own_;
  size_t at = 0;
  for (const Insert& insert : inserts_) {
    if (insert.at > at) pieces->push_back(own.substr(at, insert.at - at));
    pieces->push_back(insert.entry.view());
    at = insert.at;
  }
  if (at < own.size()) pieces->push_back(own.substr(at));
}

absl::StatusOr<size_t> VerifyFrame(std::string_view bytes, uint32_t seed) {
  if (bytes.size() < kFrameHeaderBytes + kScalarsBytes) {
    return MakeError(Reason::DATA_LOSS, "journal frame cut after ", bytes.size(), " bytes");
  }
  const auto length = LoadLittle<uint32_t>(bytes.data() + kLengthAt);
  if (length < kFrameHeaderBytes + kScalarsBytes || length > bytes.size()) {
    return MakeError(Reason::DATA_LOSS, "journal frame of ", length, " bytes in ", bytes.size());
  }
  const uint32_t crc = ExtendCrc32c(ExtendCrc32c(seed, bytes.substr(0, kCrcAt)),
                                    bytes.substr(kCoveredFrom, length - kCoveredFrom));
  if (crc != LoadLittle<uint32_t>(bytes.data() + kCrcAt) &&
      !Planted(Defect::kFrameChecksumIgnored)) {
    return MakeError(Reason::DATA_LOSS, "journal frame: checksum differs");
  }
  return size_t{length};
}

absl::StatusOr<JournalFrame> DecodeFrame(const SharedBytes& bytes) {
  ByteReader in(bytes.view());
  JournalFrame frame;
  const auto length = in.Get<uint32_t>();
  in.Get<uint32_t>();
  frame.group = GroupId{in.Get<uint64_t>()};
  frame.sequence = FrameSequence{in.Get<uint64_t>()};
  frame.replica_epoch = ReplicaEpoch{in.Get<uint32_t>()};
  const auto version = in.Get<uint8_t>();
  in.Get<uint8_t>();
  const auto steps = in.Get<uint16_t>();
  frame.scalars = GetScalars(&in);
  const auto context = [&frame] {
    return StrCat("journal frame ", frame.sequence, " of group ", frame.group);
  };
  if (!in.ok() || length != bytes.size() || version != kFrameVersion ||
      in.remaining() / kStepHeaderBytes < steps) {
    return MakeError(Reason::DATA_LOSS, context(), ": ", bytes.size(), " bytes of version ",
                     +version, " with ", steps, " steps");
  }
  frame.steps.reserve(steps);
  for (uint16_t i = 0; i < steps; ++i) {
    auto step = GetStep(bytes, &in);
    if (!step.ok()) return AddContext(step.status(), context());
    if ((frame.group == kNoGroup) != std::holds_alternative<PeerMarksStep>(*step)) {
      return MakeError(Reason::DATA_LOSS, context(),
                       ": frames of no group hold marks of peers alone, and no others do");
    }
    frame.steps.push_back(*std::move(step));
  }
  if (in.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, context(), ": ", in.remaining(), " bytes left over");
  }
  return frame;
}

}  // namespace varve::storage
