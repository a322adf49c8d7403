// The streams of FakeBroker: produce with credits and faults, subscribe with credits and seeks.
#include <deque>
#include <thread>
#include <utility>

#include "tests/client/support/fake_services.h"

namespace varve::testing {

// One produce stream. The reading thread appends; another writes, so that acks can be held.
class FakeBroker::LogService::ProduceSession {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ProduceStreamReply, v1::ProduceStreamRequest>;
  ProduceSession(FakeBroker& broker, grpc::ServerContext* context, Stream* stream)
      : broker_(broker), context_(context), stream_(stream) {}

  grpc::Status Run() {
    {
      std::lock_guard lock(broker_.mutex_);
      ++broker_.counters_.produce_streams;
      era_ = broker_.producer_era_;
      broker_.changed_.notify_all();
    }
    std::thread writer([this] { WriteReplies(); });
    v1::ProduceStreamRequest request;
    while (stream_->Read(&request)) {
      std::lock_guard lock(broker_.mutex_);
      if (request.has_open()) Open(request.open());
      if (request.has_batch() && !Take(request.batch())) break;
    }
    {
      std::lock_guard lock(broker_.mutex_);
      over_ = true;
      for (Partition* partition : unanswered_) --partition->in_flight;
      broker_.changed_.notify_all();
    }
    writer.join();
    return dropped_ ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "dropped by the test")
                    : grpc::Status::OK;
  }

 private:
  void Open(const v1::ProduceOpen& open) {
    v1::ProduceStreamReply reply;
    v1::ProduceOpened* opened = reply.mutable_opened();
    opened->set_handle(open.handle());
    const auto topic = broker_.topics_.find(open.topic());
    if (topic == broker_.topics_.end()) {
      *opened->mutable_error() = WireError(Reason::UNKNOWN_TOPIC, "no such topic");
    } else {
      topics_[open.handle()] = open.topic();
      opened->set_partitions(static_cast<uint32_t>(topic->second.partitions.size()));
    }
    if (!std::exchange(credited_, true)) {
      credit_bytes_ = broker_.produce_credit_bytes_;
      credit_records_ = broker_.produce_credit_records_;
      opened->mutable_credit()->set_bytes(credit_bytes_);
      opened->mutable_credit()->set_records(credit_records_);
    }
    Queue(std::move(reply), nullptr, 0, 0);
  }

  // False ends the stream.
  bool Take(const v1::ProduceBatch& batch) {
    ++broker_.counters_.batches_received;
    broker_.changed_.notify_all();
    if (credit_bytes_ <= 0 || credit_records_ <= 0) ++broker_.counters_.sent_without_credit;
    v1::ProduceStreamReply reply;
    v1::ProduceAck* ack = reply.mutable_ack();
    ack->set_request_id(batch.request_id());
    ack->set_partition(batch.partition());
    Partition* partition = broker_.Find(topics_[batch.handle()], batch.partition());
    if (partition == nullptr) {
      *ack->mutable_error() = WireError(Reason::UNKNOWN_PARTITION, "no such partition");
      Queue(std::move(reply), nullptr, 0, 0);
      return true;
    }
    broker_.counters_.most_in_flight_of_a_partition =
        std::max(broker_.counters_.most_in_flight_of_a_partition, ++partition->in_flight);
    unanswered_.insert(partition);
    const bool faulty = broker_.faults_left_ > 0;
    const ProduceFault fault = broker_.fault_;
    if (faulty) --broker_.faults_left_;
    if (faulty && fault.kind == ProduceFault::Kind::kError) {
      *ack->mutable_error() = WireError(fault.reason, "as the test asks", fault.leader_address);
    } else if (faulty && fault.kind == ProduceFault::Kind::kDropBeforeAppend) {
      dropped_ = true;
      return false;
    } else {
      const auto base = broker_.AppendLocked(*partition, batch.batch());
      if (base.ok()) {
        ack->set_base_offset(*base);
        ack->set_append_time_ms(1'000 + *base);
      } else {
        *ack->mutable_error() =
            WireError(ReasonOf(base.status()), std::string(MessageOf(base.status())));
      }
    }
    if (faulty && fault.kind == ProduceFault::Kind::kDropAfterAppend) {
      dropped_ = true;
      return false;
    }
    const auto bytes = static_cast<int64_t>(batch.batch().size());
    credit_bytes_ -= bytes;
    --credit_records_;
    Queue(std::move(reply), partition, bytes, 1);
    return true;
  }

  struct Reply {
    v1::ProduceStreamReply message;
    Partition* partition = nullptr;  // answered by it
    int64_t bytes = 0;
    int64_t records = 0;
  };
  void Queue(v1::ProduceStreamReply message, Partition* partition, int64_t bytes, int64_t records) {
    replies_.push_back({std::move(message), partition, bytes, records});
    broker_.changed_.notify_all();
  }

  bool Ready() const {
    return over_ || broker_.stopping_ || era_ != broker_.producer_era_ ||
           (!replies_.empty() && (replies_.front().partition == nullptr || !broker_.hold_acks_));
  }

  void WriteReplies() {
    std::unique_lock lock(broker_.mutex_);
    while (true) {
      broker_.changed_.wait(lock, [&] { return Ready(); });
      if (broker_.stopping_) context_->TryCancel();
      if (over_ || broker_.stopping_) return;
      v1::ProduceStreamReply message;
      if (era_ != broker_.producer_era_) {
        era_ = broker_.producer_era_;
        message.mutable_moved()->set_leader_address(broker_.moved_to_);
        lock.unlock();
        stream_->Write(message);
        lock.lock();
        continue;
      }
      Reply reply = std::move(replies_.front());
      replies_.pop_front();
      if (reply.partition != nullptr) {
        --reply.partition->in_flight;
        unanswered_.erase(reply.partition);
        credit_bytes_ += reply.bytes;
        credit_records_ += reply.records;
      }
      lock.unlock();
      stream_->Write(reply.message);
      if (reply.partition != nullptr) {
        message.mutable_credit()->set_bytes(reply.bytes);
        message.mutable_credit()->set_records(reply.records);
        stream_->Write(message);
      }
      lock.lock();
    }
  }

  FakeBroker& broker_;
  grpc::ServerContext* context_;
  Stream* stream_;
  std::map<uint32_t, std::string> topics_;
  std::deque<Reply> replies_;
  std::set<Partition*> unanswered_;
  int64_t credit_bytes_ = 0;
  int64_t credit_records_ = 0;
  uint64_t era_ = 0;
  bool credited_ = false;
  bool dropped_ = false;
  bool over_ = false;
};

grpc::Status FakeBroker::LogService::ProduceStream(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::ProduceStreamReply, v1::ProduceStreamRequest>* stream) {
  return ProduceSession(broker_, context, stream).Run();
}

// One subscribe stream: a thread reads requests, the handler's own thread sends.
class FakeBroker::LogService::SubscribeSession {
 public:
  using Stream = grpc::ServerReaderWriter<v1::SubscribeReply, v1::SubscribeRequest>;
  SubscribeSession(FakeBroker& broker, grpc::ServerContext* context, Stream* stream)
      : broker_(broker), context_(context), stream_(stream) {}

  grpc::Status Run() {
    std::unique_lock lock(broker_.mutex_);
    ++broker_.counters_.subscribe_streams;
    const uint64_t era = broker_.subscriber_era_;
    broker_.changed_.notify_all();
    std::thread reader([this] { ReadRequests(); });
    while (true) {
      v1::SubscribeReply reply;
      broker_.changed_.wait(lock, [&] {
        return over_ || broker_.stopping_ || era != broker_.subscriber_era_ || Next(&reply);
      });
      if (over_ || broker_.stopping_ || era != broker_.subscriber_era_) break;
      lock.unlock();
      stream_->Write(reply);
      lock.lock();
    }
    lock.unlock();
    context_->TryCancel();
    reader.join();
    return {grpc::StatusCode::UNAVAILABLE, "dropped by the test"};
  }

 private:
  struct Reading {
    Partition* partition = nullptr;
    uint64_t generation = 0;
    int64_t next_offset = 0;
  };

  void ReadRequests() {
    v1::SubscribeRequest request;
    while (stream_->Read(&request)) {
      std::lock_guard lock(broker_.mutex_);
      Take(request);
      broker_.changed_.notify_all();
    }
    std::lock_guard lock(broker_.mutex_);
    over_ = true;
    broker_.changed_.notify_all();
  }

  void Take(const v1::SubscribeRequest& request) {
    if (request.has_open()) {
      for (const auto& partition : request.open().partitions()) Add(partition);
      Grant(request.open().credit());
    } else if (request.has_credit()) {
      Grant(request.credit());
    } else if (request.has_add()) {
      Add(request.add().partition());
    } else if (request.has_remove()) {
      readings_.erase(request.remove().handle());
    } else if (request.has_seek()) {
      ++broker_.counters_.seeks;
      const auto at = readings_.find(request.seek().handle());
      if (at == readings_.end()) return;
      if (std::exchange(broker_.stale_after_seek_, false)) {
        v1::SubscribeReply stale;
        if (Fill(at->first, at->second, &stale)) replies_.push_back(std::move(stale));
      }
      at->second.generation = request.seek().generation();
      Begin(at->first, at->second, request.seek().to());
    }
  }

  void Grant(const v1::Credit& credit) {
    bytes_ += credit.bytes();
    records_ += credit.records();
    broker_.counters_.granted_read_bytes += credit.bytes();
  }

  void Add(const v1::SubscribePartition& partition) {
    Reading reading{broker_.Find(partition.topic(), partition.partition())};
    if (reading.partition == nullptr) {
      return End(partition.handle(), 0, Reason::UNKNOWN_PARTITION);
    }
    Begin(partition.handle(), readings_[partition.handle()] = reading, partition.from());
  }

  void Begin(uint32_t handle, Reading& reading, const v1::Position& from) {
    reading.next_offset = broker_.Resolve(*reading.partition, from);
    if (reading.next_offset < reading.partition->log_start ||
        reading.next_offset > reading.partition->next_offset) {
      const uint64_t generation = reading.generation;
      readings_.erase(handle);
      return End(handle, generation, Reason::OFFSET_OUT_OF_RANGE);
    }
    v1::SubscribeReply reply;
    v1::SubscribeOpened* opened = reply.mutable_opened();
    opened->set_handle(handle);
    opened->set_generation(reading.generation);
    opened->set_next_offset(reading.next_offset);
    opened->set_high_watermark(reading.partition->next_offset);
    opened->set_log_start(reading.partition->log_start);
    replies_.push_back(std::move(reply));
  }

  void End(uint32_t handle, uint64_t generation, Reason reason) {
    v1::SubscribeReply reply;
    reply.mutable_end()->set_handle(handle);
    reply.mutable_end()->set_generation(generation);
    *reply.mutable_end()->mutable_error() = WireError(reason, "as the log stands");
    replies_.push_back(std::move(reply));
  }

  // The batch that holds the next offset, as data.
  bool Fill(uint32_t handle, Reading& reading, v1::SubscribeReply* reply) {
    for (const Batch& batch : reading.partition->batches) {
      if (batch.next_offset <= reading.next_offset) continue;
      v1::SubscribeData* data = reply->mutable_data();
      data->set_handle(handle);
      data->set_generation(reading.generation);
      data->set_batches(batch.bytes);
      data->set_records(batch.records);
      data->set_next_offset(batch.next_offset);
      data->set_high_watermark(reading.partition->next_offset);
      reading.next_offset = batch.next_offset;
      bytes_ -= static_cast<int64_t>(batch.bytes.size());
      records_ -= batch.records;
      ++broker_.counters_.data_messages;
      broker_.changed_.notify_all();
      return true;
    }
    return false;
  }

  bool Next(v1::SubscribeReply* reply) {
    if (!replies_.empty()) {
      *reply = std::move(replies_.front());
      replies_.pop_front();
      return true;
    }
    if (bytes_ <= 0 || records_ <= 0 || broker_.data_allowance_ == 0) return false;
    for (auto& [handle, reading] : readings_) {
      if (!Fill(handle, reading, reply)) continue;
      if (broker_.data_allowance_ > 0) --broker_.data_allowance_;
      return true;
    }
    return false;
  }

  FakeBroker& broker_;
  grpc::ServerContext* context_;
  Stream* stream_;
  std::map<uint32_t, Reading> readings_;
  std::deque<v1::SubscribeReply> replies_;
  int64_t bytes_ = 0;
  int64_t records_ = 0;
  bool over_ = false;
};

grpc::Status FakeBroker::LogService::Subscribe(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::SubscribeReply, v1::SubscribeRequest>* stream) {
  return SubscribeSession(broker_, context, stream).Run();
}

grpc::Status FakeBroker::LogService::ListOffsets(grpc::ServerContext*,
                                                 const v1::ListOffsetsRequest* request,
                                                 v1::ListOffsetsReply* reply) {
  std::lock_guard lock(broker_.mutex_);
  for (const v1::ListOffsetsItem& item : request->items()) {
    v1::ListOffsetsResult* result = reply->add_results();
    result->set_topic(item.topic());
    result->set_partition(item.partition());
    const Partition* partition = broker_.Find(item.topic(), item.partition());
    if (partition == nullptr) {
      *result->mutable_error() = WireError(Reason::UNKNOWN_PARTITION, "no such partition");
    } else {
      result->set_offset(broker_.Resolve(*partition, item.position()));
      result->set_append_time_ms(-1);
    }
  }
  return grpc::Status::OK;
}

}  // namespace varve::testing
