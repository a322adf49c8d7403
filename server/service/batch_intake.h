// Turning what a producer sent into a validated batch, before any shard is involved.
#ifndef VARVE_SERVER_SERVICE_BATCH_INTAKE_H_
#define VARVE_SERVER_SERVICE_BATCH_INTAKE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/entry.h"
#include "common/record_batch.h"
#include "server/metadata/catalogue.h"
#include "server/service/messages.h"

namespace varve::server {

// Validates a client's batch in full against the topic's limits (ValidateRecordBatch). Batches with
// a producer id, the transactional or the control attribute are refused: INVALID_BATCH.
absl::StatusOr<BatchSummary> CheckBatch(const TopicEntry& topic, std::string_view batch,
                                        WallTime now);

// Builds one uncompressed batch from plain records; a timestamp of 0 becomes `now`. INVALID_REQUEST
// for no records, BATCH_TOO_LARGE.
absl::StatusOr<FrameBuffer> BuildBatch(const TopicEntry& topic,
                                       const std::vector<PlainRecord>& records, WallTime now);

// Partition of plain records that name none: by the first key, as Kafka's clients do; without a
// key, `sticky` modulo the count.
PartitionId ChoosePartition(const TopicEntry& topic, const std::vector<PlainRecord>& records,
                            uint64_t sticky);

// The records of committed batches from `from` on, in plain form, for small clients. DATA_LOSS when
// a stored batch does not decode.
absl::StatusOr<std::vector<PlainRecord>> DecodePlainRecords(const std::vector<Entry>& entries,
                                                            Offset from, size_t max_bytes,
                                                            Offset* next_offset);

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_BATCH_INTAKE_H_
