#include "common/meta_entry.h"

#include "common/bytes.h"
#include "common/error.h"

namespace varve {
namespace {

constexpr uint8_t kSegmentStartType = 1;
constexpr uint8_t kTrimType = 2;
constexpr uint8_t kRecordedLossType = 5;
constexpr uint8_t kMetaVersion = 1;
constexpr size_t kMetaHeaderBytes = 4;
constexpr size_t kEpochStartBytes = 24;

void PutMetaHeader(uint8_t type, ByteWriter* out) {
  out->Put(type);
  out->Put(kMetaVersion);
  out->Put(uint16_t{0});
}

void PutSegmentStart(const SegmentStart& start, ByteWriter* out) {
  PutMetaHeader(kSegmentStartType, out);
  out->Put(start.config_index.value());
  out->PutSized(EncodeConfiguration(start.config));
  out->Put(static_cast<uint32_t>(start.epochs.size()));
  for (const EpochStart& epoch : start.epochs) {
    out->Put(epoch.term.value());
    out->Put(epoch.index.value());
    out->Put(epoch.offset.value());
  }
  out->Put(start.digest.sum[0]);
  out->Put(start.digest.sum[1]);
  out->Put(start.digest.items);
}

absl::Status GetEpochs(ByteReader* in, std::vector<EpochStart>* out) {
  const auto count = in->Get<uint32_t>();
  if (!in->ok() || in->remaining() / kEpochStartBytes < count) {
    return MakeError(Reason::DATA_LOSS, "segment start: ", count, " epochs do not fit in ",
                     in->remaining(), " bytes");
  }
  out->reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    EpochStart epoch;
    epoch.term = Term{in->Get<uint64_t>()};
    epoch.index = Index{in->Get<uint64_t>()};
    epoch.offset = Offset{in->Get<int64_t>()};
    // Term 0 wrote the bootstrap entry alone.
    const bool bootstrap = epoch.term == Term{} && epoch.index == Index{1};
    const bool known = (epoch.term > Term{} || bootstrap) && epoch.term <= kMaxTerm &&
                       epoch.index > Index{} && epoch.offset >= Offset{};
    const bool ascends =
        out->empty() || (out->back().term < epoch.term && out->back().index < epoch.index &&
                         out->back().offset <= epoch.offset);
    if (!known || !ascends) {
      return MakeError(Reason::DATA_LOSS, "segment start: epoch ", i, " (term ", epoch.term,
                       ", index ", epoch.index, ", offset ", epoch.offset, ") is out of order");
    }
    out->push_back(epoch);
  }
  return absl::OkStatus();
}

absl::StatusOr<MetaBody> GetSegmentStart(ByteReader* in) {
  SegmentStart out;
  out.config_index = Index{in->Get<uint64_t>()};
  const std::string_view config = in->GetSized();
  if (!in->ok()) return MakeError(Reason::DATA_LOSS, "segment start is cut short");
  VARVE_ASSIGN_OR_RETURN(out.config, DecodeConfiguration(config));
  VARVE_RETURN_IF_ERROR(GetEpochs(in, &out.epochs));
  out.digest.sum[0] = in->Get<uint64_t>();
  out.digest.sum[1] = in->Get<uint64_t>();
  out.digest.items = in->Get<uint64_t>();
  return MetaBody(std::move(out));
}

absl::StatusOr<MetaBody> GetTrim(ByteReader* in) {
  const Offset log_start{in->Get<int64_t>()};
  if (log_start < Offset{0}) {
    return MakeError(Reason::DATA_LOSS, "trim to the negative offset ", log_start);
  }
  return MetaBody(Trim{log_start});
}

absl::StatusOr<MetaBody> GetRecordedLoss(ByteReader* in) {
  RecordedLoss out;
  out.end = Index{in->Get<uint64_t>()};
  out.term = Term{in->Get<uint64_t>()};
  out.recovery_number = in->Get<uint64_t>();
  if (in->ok() && (out.term > kMaxTerm || out.recovery_number == 0))
    return MakeError(Reason::DATA_LOSS, "recorded loss in term ", out.term, " with number ",
                     out.recovery_number);
  return MetaBody(out);
}

absl::StatusOr<MetaBody> GetBody(uint8_t type, uint8_t version, ByteReader* in) {
  if (type == 0 || version == 0) {
    return MakeError(Reason::DATA_LOSS, "meta entry of type ", +type, " version ", +version);
  }
  const bool known = type == kSegmentStartType || type == kTrimType || type == kRecordedLossType;
  if (!known || version > kMetaVersion) {
    return MakeError(Reason::UNSUPPORTED_FEATURE, "meta entry of type ", +type, " version ",
                     +version, " comes from a newer varve");
  }
  if (type == kRecordedLossType) return GetRecordedLoss(in);
  return type == kSegmentStartType ? GetSegmentStart(in) : GetTrim(in);
}

}  // namespace

std::string EncodeMeta(const MetaBody& body) {
  std::string bytes;
  ByteWriter out(&bytes);
  if (const auto* start = std::get_if<SegmentStart>(&body)) {
    PutSegmentStart(*start, &out);
  } else if (const auto* loss = std::get_if<RecordedLoss>(&body)) {
    PutMetaHeader(kRecordedLossType, &out);
    out.Put(loss->end.value());
    out.Put(loss->term.value());
    out.Put(loss->recovery_number);
  } else {
    PutMetaHeader(kTrimType, &out);
    out.Put(std::get<Trim>(body).log_start.value());
  }
  return bytes;
}

absl::StatusOr<MetaBody> DecodeMeta(std::string_view bytes) {
  ByteReader in(bytes);
  const auto type = in.Get<uint8_t>();
  const auto version = in.Get<uint8_t>();
  const auto padding = in.Get<uint16_t>();
  if (!in.ok() || padding != 0) {
    return MakeError(Reason::DATA_LOSS, "meta entry of ", bytes.size(), " bytes has no header");
  }
  VARVE_ASSIGN_OR_RETURN(MetaBody body, GetBody(type, version, &in));
  if (!in.ok() || in.remaining() != 0) {
    return MakeError(Reason::DATA_LOSS, "meta entry of type ", +type, " has the wrong length ",
                     bytes.size());
  }
  return body;
}

bool IsSegmentStart(std::string_view payload) {
  return payload.size() >= kMetaHeaderBytes &&
         static_cast<uint8_t>(payload[0]) == kSegmentStartType;
}

std::optional<Offset> TrimOf(std::string_view payload) {
  if (payload.empty() || static_cast<uint8_t>(payload[0]) != kTrimType) return std::nullopt;
  const auto body = DecodeMeta(payload);
  if (!body.ok()) return std::nullopt;
  return std::get<Trim>(*body).log_start;
}

}  // namespace varve
