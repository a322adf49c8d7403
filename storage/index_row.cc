#include "storage/index_row.h"

#include "common/bytes.h"
#include "common/crc32c.h"

namespace varve::storage {
namespace {

uint32_t RowCrc(std::string_view fields, FileNumber file) {
  std::string number;
  ByteWriter(&number).Put<uint64_t>(file.value());
  return ExtendCrc32c(Crc32c(number), fields);
}

}  // namespace

void EncodeIndexRow(const IndexRow& row, FileNumber file, std::string* out) {
  std::string fields;
  ByteWriter writer(&fields);
  writer.Put<uint64_t>(row.first_index.value());
  writer.Put<int64_t>(row.base_offset.value());
  writer.Put<uint64_t>(row.position);
  writer.Put<int64_t>(row.max_append_time.value());
  writer.Put<int64_t>(row.max_record_timestamp.value());
  const uint32_t crc = RowCrc(fields, file);
  writer.Put<uint32_t>(crc);
  writer.Put<uint32_t>(0);
  out->append(fields);
}

std::optional<IndexRow> DecodeIndexRow(std::string_view bytes, FileNumber file) {
  ByteReader in(bytes);
  IndexRow row;
  row.first_index = Index(in.Get<uint64_t>());
  row.base_offset = Offset(in.Get<int64_t>());
  row.position = in.Get<uint64_t>();
  row.max_append_time = WallTime(in.Get<int64_t>());
  row.max_record_timestamp = WallTime(in.Get<int64_t>());
  const auto crc = in.Get<uint32_t>();
  if (!in.ok() || crc != RowCrc(bytes.substr(0, 40), file)) return std::nullopt;
  return row;
}

}  // namespace varve::storage
