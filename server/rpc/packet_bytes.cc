#include "server/rpc/packet_bytes.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace varve::server {
namespace {

constexpr size_t kShareOutFrom = 4096;
// gRPC reads into pieces of up to 64 KiB: a packet that shares one must not pin much more memory
// than it has.
constexpr size_t kShareInFrom = 32 * 1024;

grpc::Slice SliceOf(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  return {owned->data(), owned->size(), [](void* p) { delete static_cast<std::string*>(p); },
          owned};
}

grpc::Slice SliceOf(SharedBytes bytes) {
  auto* owned = new SharedBytes(std::move(bytes));
  // gRPC only reads it.
  return {const_cast<char*>(owned->view().data()), owned->size(),
          [](void* p) { delete static_cast<SharedBytes*>(p); }, owned};
}

// The bytes of the small parts that follow one another from `at` on.
size_t RunBytes(const std::vector<SharedBytes>& parts, size_t at) {
  size_t sum = 0;
  for (; at < parts.size() && parts[at].size() < kShareOutFrom; ++at) sum += parts[at].size();
  return sum;
}

}  // namespace

grpc::ByteBuffer ToByteBuffer(raft::OutgoingPacket packet) {
  std::vector<SharedBytes>& parts = packet.parts;
  std::vector<grpc::Slice> slices;
  slices.reserve(2 * parts.size() + 1);
  std::string run = std::move(packet.head);
  run.reserve(run.size() + RunBytes(parts, 0));
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].size() < kShareOutFrom) {
      run.append(parts[i].view());
      continue;
    }
    if (!run.empty()) slices.push_back(SliceOf(std::exchange(run, {})));
    slices.push_back(SliceOf(std::move(parts[i])));
    run.reserve(RunBytes(parts, i + 1));
  }
  if (!run.empty()) slices.push_back(SliceOf(std::move(run)));
  return {slices.data(), slices.size()};
}

SharedBytes ToSharedBytes(const grpc::ByteBuffer& buffer) {
  const size_t length = buffer.Length();
  if (length == 0) return {};
  if (length >= kShareInFrom) {
    auto single = std::make_shared<grpc::Slice>();
    if (buffer.TrySingleSlice(single.get()).ok()) {
      const std::string_view view(reinterpret_cast<const char*>(single->begin()), single->size());
      return {std::move(single), view};
    }
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return {};
  std::shared_ptr<char[]> copy(new char[length]);
  size_t at = 0;
  for (const grpc::Slice& slice : slices) {
    std::memcpy(copy.get() + at, slice.begin(), slice.size());
    at += slice.size();
  }
  const std::string_view view(copy.get(), at);
  return {std::move(copy), view};
}

}  // namespace varve::server
