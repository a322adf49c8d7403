// Any bytes: validating and reading a batch never misbehave, and they agree.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/record_batch.h"
#include "common/record_batch_layout.h"

namespace varve {
namespace {

// Small, so that bombs end soon.
constexpr size_t kMostOutput = 1 << 20;

BatchLimits AcceptAll() {
  BatchLimits limits;
  limits.max_decompressed_bytes = kMostOutput;
  limits.accept_producer_id = true;
  limits.accept_transactional = true;
  limits.accept_control = true;
  limits.accept_log_append_time = true;
  return limits;
}

void Check(std::string_view bytes) {
  const auto summary = ValidateRecordBatch(bytes, AcceptAll());
  const auto view = RecordBatchView::ParsePrefix(bytes);
  VARVE_CHECK(view.ok() || !summary.ok(), "validated, but cannot be parsed");
  if (!view.ok()) return;
  RecordBatchReader reader(*view, kMostOutput);
  int32_t records = 0;
  size_t touched = 0;
  while (const RecordView* record = reader.Next()) {
    ++records;
    if (record->key) touched += record->key->size();
    if (record->value) touched += record->value->size();
    uint32_t headers = 0;
    for (const RecordHeaderView& header : record->headers) {
      ++headers;
      touched += header.key.size() + header.value.value_or("").size();
    }
    VARVE_CHECK(headers == record->headers.size(), "headers end early");
  }
  VARVE_CHECK(touched <= kMostOutput + bytes.size(), touched, " bytes of fields");
  if (summary.ok()) {
    VARVE_CHECK(reader.status().ok(), "validated, but not readable");
    VARVE_CHECK(records == summary->record_count, records, " records read");
  }
  const auto plain = DecompressRecordBatch(*view, kMostOutput);
  if (summary.ok()) {
    VARVE_CHECK(plain.ok(), "validated, but cannot be decompressed");
    BatchLimits limits = AcceptAll();
    limits.max_batch_bytes = plain->size();
    const auto again = ValidateRecordBatch(*plain, limits);
    VARVE_CHECK(again.ok(), "the decompressed copy is invalid");
    VARVE_CHECK(again->record_count == records, "the decompressed copy has other records");
  }
}

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using varve::kBatchCrcCoversFrom;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  varve::Check(bytes);
  if (size < varve::kBatchHeaderBytes) return 0;
  // Most inputs fail their CRC or length; made right, they reach what lies behind.
  std::string fixed(bytes);
  varve::StoreBig(fixed.data() + varve::batch_layout::kLengthAt,
                  static_cast<int32_t>(size - varve::kBatchPrefixBytes));
  varve::StoreBig(fixed.data() + varve::batch_layout::kCrcAt,
                  varve::Crc32c(std::string_view(fixed).substr(kBatchCrcCoversFrom)));
  varve::Check(fixed);
  return 0;
}
