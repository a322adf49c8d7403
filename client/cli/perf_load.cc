#include "client/cli/perf_load.h"

#include <algorithm>
#include <cstdio>

#include "client/cli/cli_error.h"
#include "client/cli/quantity.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

constexpr size_t kPoolBytes = 16 * 1024 * 1024;
constexpr uint64_t kMaxRecordBytes = 64 * 1024 * 1024;

// xorshift64: fast, and good enough to be incompressible.
uint64_t NextRandom(uint64_t& state) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

Status Fill(std::string& pool, const std::string& file) {
  Result<InputFile> input = InputFile::Open(file);
  if (!input.ok()) return input.status();
  size_t filled = 0;
  while (filled < pool.size()) {
    const Result<size_t> got = input->Read(pool.data() + filled, pool.size() - filled);
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    filled += *got;
  }
  pool.resize(filled);
  return Status();
}

}  // namespace

Result<PerfPayload> PerfPayload::Make(uint64_t record_bytes, uint32_t keys,
                                      const std::string& file) {
  if (record_bytes == 0 || record_bytes > kMaxRecordBytes)
    return UsageError("a record has 1 byte to " + HumanSize(kMaxRecordBytes),
                      "Choose a --size within that.");
  PerfPayload payload;
  payload.record_bytes_ = static_cast<size_t>(record_bytes);
  payload.keys_ = keys;
  payload.pool_.resize(std::max(kPoolBytes, payload.record_bytes_));
  if (!file.empty()) {
    if (Status status = Fill(payload.pool_, file); !status.ok()) return status;
    if (payload.pool_.size() < payload.record_bytes_)
      return LocalError(file + " is shorter than one record", 0, "Give a larger file.");
    return payload;
  }
  uint64_t state = 0x2545f4914f6cdd1d;
  for (char& byte : payload.pool_) byte = static_cast<char>(NextRandom(state) >> 32);
  return payload;
}

std::string_view PerfPayload::NextValue() {
  if (at_ + record_bytes_ > pool_.size()) at_ = 0;
  const std::string_view value(pool_.data() + at_, record_bytes_);
  at_ += record_bytes_;
  return value;
}

std::string_view PerfPayload::NextKey() {
  const auto number = static_cast<unsigned>(NextRandom(key_state_) % keys_);
  const int length = std::snprintf(key_, sizeof key_, "key-%010u", number);
  return {key_, static_cast<size_t>(length)};
}

}  // namespace varve::cli
