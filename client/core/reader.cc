#include "varve/reader.h"

#include <utility>

#include "client/core/blocking.h"
#include "client/core/metadata.h"
#include "client/core/offset_lookup.h"
#include "client/core/reader_core.h"
#include "client/core/status_mapping.h"

namespace varve {
inline namespace v0 {

using client::Error;
using client::ReaderCore;

Status ReaderOptions::Validate() const {
  const auto bad = [](const char* field, const char* what) {
    return Error(Reason::INVALID_CONFIG, field, ": ", what);
  };
  if (window_bytes < 64 * 1024) return bad("window_bytes", "at least 64 KiB");
  if (window_bytes > size_t{1} << 40) return bad("window_bytes", "at most 1 TiB");
  if (window_records == 0) return bad("window_records", "must be positive");
  if (poll_bytes == 0) return bad("poll_bytes", "must be positive");
  return {};
}

Result<Reader> Reader::Create(const Client& client, ReaderOptions options) {
  if (Status status = options.Validate(); !status.ok()) return status;
  auto core = std::make_shared<ReaderCore>(client.core_, std::move(options));
  core->Start();
  return Reader(std::move(core));
}

Reader::Reader(std::shared_ptr<ReaderCore> core) : core_(std::move(core)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&& other) noexcept {
  if (this != &other) {
    Reader old(std::move(*this));
    core_ = std::move(other.core_);
  }
  return *this;
}
Reader::~Reader() {
  if (core_) core_->Close();
}

Status Reader::Assign(std::vector<Assignment> assignments) {
  for (size_t i = 0; i < assignments.size(); ++i) {
    if (assignments[i].partition.topic.empty()) {
      return Error(Reason::INVALID_REQUEST, "assignment ", i, " names no topic");
    }
    const StartPosition& from = assignments[i].from;
    if (from.kind == StartPosition::Kind::kOffset && from.value < 0) {
      return Error(Reason::INVALID_REQUEST, "assignment ", i, " begins at the negative offset ",
                   from.value);
    }
  }
  core_->Assign(std::move(assignments));
  return {};
}

Status Reader::AssignTopic(std::string_view topic, StartPosition from,
                           std::chrono::milliseconds timeout) {
  const std::shared_ptr<client::ClientCore>& core = core_->client();
  if (core->executor().InExecutor()) {
    return Error(Reason::INVALID_REQUEST, "AssignTopic waits; it cannot be called from a callback");
  }
  using Found = std::pair<Status, size_t>;
  auto answer = std::make_shared<client::Answer<Found>>();
  core->executor().Post([core, name = std::string(topic), answer] {
    core->metadata().Refresh(name, [answer](const Status& status, auto info) {
      answer->Set({status, info ? info->leaders.size() : 0});
    });
  });
  const auto found = answer->Wait(timeout.count() * kMillisecond);
  if (!found) {
    return Error(Reason::DEADLINE_EXCEEDED, "no answer about topic \"", topic, "\" within ",
                 timeout.count(), " ms");
  }
  if (!found->first.ok()) return found->first;
  std::vector<Assignment> assignments;
  for (uint32_t i = 0; i < found->second; ++i) {
    assignments.push_back({{std::string(topic), i}, from});
  }
  return Assign(std::move(assignments));
}

Status Reader::Seek(const TopicPartition& partition, StartPosition to) {
  if (to.kind == StartPosition::Kind::kOffset && to.value < 0) {
    return Error(Reason::INVALID_REQUEST, "seek to the negative offset ", to.value);
  }
  return core_->Seek(partition, to);
}

Result<Records> Reader::Poll(std::chrono::milliseconds timeout) {
  if (core_->client()->executor().InExecutor()) timeout = std::chrono::milliseconds(0);
  return core_->inbox().Poll(timeout);
}

void Reader::SetCallback(RecordsCallback callback) { core_->SetCallback(std::move(callback)); }

Status Reader::StopAtEnd(std::chrono::milliseconds timeout) {
  std::vector<OffsetQuery> queries;
  for (const ReaderPosition& position : positions()) {
    queries.push_back({position.partition, StartPosition::End()});
  }
  Result<std::vector<OffsetAnswer>> ends =
      client::LookUpOffsets(core_->client(), queries, core_->isolation(), timeout);
  if (!ends.ok()) return ends.status();
  for (const OffsetAnswer& end : *ends) {
    if (!end.status.ok()) return end.status;
  }
  for (const OffsetAnswer& end : *ends) core_->inbox().StopAt(end.partition, end.offset);
  return {};
}

bool Reader::AtStop() const { return core_->inbox().AtStop(); }
std::vector<ReaderPosition> Reader::positions() const { return core_->inbox().positions(); }
ReaderStats Reader::stats() const { return core_->stats(); }
void Reader::Close() { core_->Close(); }

}  // namespace v0
}  // namespace varve
