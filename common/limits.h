// Every bound of varve in one place: cost, reason and the relation to the others.
#ifndef VARVE_COMMON_LIMITS_H_
#define VARVE_COMMON_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace varve::limits {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// Record batch, as stored (compressed). The default suits streams; a topic may raise it to the
// ceiling, which bounds every buffer that must hold one whole batch.
inline constexpr size_t kDefaultBatchBytes = 1 * kMiB;
inline constexpr size_t kMaxBatchBytes = 8 * kMiB;
// What a batch may decompress to while it is validated: a streaming bound, never allocated at once.
inline constexpr size_t kMaxDecompressedBatchBytes = 128 * kMiB;
// Records in one batch: a record is at least 7 bytes, so this bounds loops, not real traffic.
inline constexpr uint32_t kMaxBatchRecords = 1'000'000;
// Headers of one record.
inline constexpr uint32_t kMaxRecordHeaders = 1'000;
// Payload of one entry: the largest batch, or a zero-width body.
inline constexpr size_t kMaxEntryPayloadBytes = kMaxBatchBytes;
// One gRPC message: the largest batch and what surrounds it. Checked before parsing.
inline constexpr size_t kMaxRequestBytes = 16 * kMiB;
static_assert(kMaxRequestBytes >= kMaxBatchBytes + 64 * kKiB);
// One packet between brokers: the largest entry and what surrounds it. Checked before parsing.
inline constexpr size_t kMaxPeerMessageBytes = kMaxBatchBytes + 1 * kMiB;
// Metadata (headers) of one gRPC call.
inline constexpr size_t kMaxMetadataBytes = 16 * kKiB;

// Names.
inline constexpr size_t kMaxTopicNameBytes = 249;
inline constexpr size_t kMaxClientIdBytes = 255;
// Partitions.
inline constexpr uint32_t kMaxPartitionsPerTopic = 10'000;
inline constexpr uint32_t kMaxPartitionsPerBroker = 100'000;
inline constexpr uint32_t kMaxTopics = 100'000;
// Items of one request: batches of a Produce, partitions of a Fetch.
inline constexpr uint32_t kMaxRequestItems = 10'000;

// Journal: one commit, unless a single frame is larger.
inline constexpr size_t kMaxCommitBytes = 1 * kMiB;
// Disk block of the journal; commits begin and end on it.
inline constexpr size_t kBlockBytes = 4096;
// Entries accepted by the journal but not yet written to segments, per data directory.
inline constexpr size_t kDirtyBudgetBytes = 64 * kMiB;
static_assert(kDirtyBudgetBytes >= 4 * kMaxBatchBytes);
// Segment size that a topic may ask for.
inline constexpr uint64_t kMinSegmentBytes = 64 * kKiB;
inline constexpr uint64_t kDefaultSegmentBytes = 128 * kMiB;
inline constexpr uint64_t kMaxSegmentBytes = 4096ull * kMiB;
// One sparse index row at most every so many bytes of log.
inline constexpr size_t kIndexIntervalBytes = 64 * kKiB;

// One Fetch reply, and one Subscribe message.
inline constexpr size_t kMaxFetchBytes = 8 * kMiB;
inline constexpr size_t kMaxSubscribeMessageBytes = 256 * kKiB;
// Memory that requests under way may hold in one broker.
inline constexpr size_t kRequestMemoryBytes = 128 * kMiB;
static_assert(kRequestMemoryBytes >= 4 * kMaxRequestBytes);
// Proposals of one partition that are not yet committed.
inline constexpr size_t kMaxUncommittedBytes = 32 * kMiB;
static_assert(kMaxUncommittedBytes >= 2 * kMaxBatchBytes);

// Voters and learners of one group.
inline constexpr size_t kMaxReplicas = 32;

}  // namespace varve::limits

#endif  // VARVE_COMMON_LIMITS_H_
