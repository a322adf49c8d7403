#include "common/sim/sim_content.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/trace_hash.h"

namespace varve {
namespace {

constexpr uint64_t kPage = SimPages::kPageBytes;

// Calls visit(page, offset in page, length) for every page that [position, position+length)
// touches.
template <class Visit>
void ForEachPage(uint64_t position, uint64_t length, Visit visit) {
  while (length > 0) {
    const uint64_t offset = position % kPage;
    const uint64_t here = std::min(length, kPage - offset);
    visit(position / kPage, offset, here);
    position += here;
    length -= here;
  }
}

}  // namespace

void SimPages::Read(uint64_t position, size_t length, char* out) const {
  VARVE_CHECK(position <= size_ && length <= size_ - position);
  ForEachPage(position, length, [&](uint64_t number, uint64_t offset, uint64_t here) {
    const auto at = pages_.find(number);
    if (at == pages_.end()) {
      std::memset(out, 0, here);
    } else {
      std::memcpy(out, at->second->data() + offset, here);
    }
    out += here;
  });
}

SimPages::Page& SimPages::Writable(uint64_t number, bool overwritten) {
  std::shared_ptr<Page>& page = pages_[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = overwritten ? std::make_shared<Page>() : std::make_shared<Page>(*page);
  }
  return *page;
}

void SimPages::Write(uint64_t position, std::string_view bytes) {
  if (bytes.empty()) return;
  const char* from = bytes.data();
  ForEachPage(position, bytes.size(), [&](uint64_t number, uint64_t offset, uint64_t here) {
    std::memcpy(Writable(number, here == kPage).data() + offset, from, here);
    from += here;
  });
  size_ = std::max(size_, position + bytes.size());
}

void SimPages::WriteZeros(uint64_t position, uint64_t length) {
  if (length == 0) return;
  const uint64_t end = position + length;
  const auto clear = [&](uint64_t number, uint64_t offset, uint64_t here) {
    if (pages_.contains(number)) std::memset(Writable(number, false).data() + offset, 0, here);
  };
  const uint64_t first_whole = (position + kPage - 1) / kPage;
  const uint64_t last_whole = end / kPage;  // exclusive
  if (first_whole > last_whole) {
    clear(position / kPage, position % kPage, length);
  } else {
    if (position % kPage != 0) clear(position / kPage, position % kPage, kPage - position % kPage);
    pages_.erase(pages_.lower_bound(first_whole), pages_.lower_bound(last_whole));
    if (end % kPage != 0) clear(last_whole, 0, end % kPage);
  }
  size_ = std::max(size_, end);
}

void SimPages::Resize(uint64_t size) {
  if (size < size_) WriteZeros(size, size_ - size);
  size_ = size;
}

void SimPages::SharePages(const SimPages& other, uint64_t position, uint64_t length) {
  if (length == 0) return;
  const uint64_t first = position / kPage;
  const uint64_t end = (position + length - 1) / kPage + 1;
  auto at = pages_.lower_bound(first);
  for (auto from = other.pages_.lower_bound(first); from != other.pages_.end() && from->first < end;
       ++from) {
    while (at != pages_.end() && at->first < from->first) at = pages_.erase(at);
    if (at != pages_.end() && at->first == from->first) {
      (at++)->second = from->second;
    } else {
      pages_.emplace_hint(at, from->first, from->second);
    }
  }
  pages_.erase(at, pages_.lower_bound(end));
}

uint64_t SimPages::Hash() const {
  static constexpr Page kZeros{};
  uint64_t hash = MixHash(0, size_);
  for (const auto& [number, page] : pages_) {
    if (std::memcmp(page->data(), kZeros.data(), kPage) == 0) continue;  // same as missing
    hash = MixHash(MixHash(hash, number), Crc32c({page->data(), kPage}));
  }
  return hash;
}

void SimContent::Write(uint64_t position, std::string bytes) {
  written_.Write(position, bytes);
  const uint64_t length = bytes.size();
  changes_.push_back({Change::Kind::kWrite, position, length, std::move(bytes)});
}

void SimContent::Truncate(uint64_t size) {
  written_.Resize(size);
  changes_.push_back({Change::Kind::kTruncate, size, 0, {}});
}

void SimContent::Extend(uint64_t size, bool zero_fill) {
  const uint64_t before = written_.size();
  VARVE_CHECK(size > before);
  written_.Resize(size);
  if (zero_fill) {
    changes_.push_back({Change::Kind::kZeros, before, size - before, {}});
  } else {
    changes_.push_back({Change::Kind::kGrow, size, 0, {}});
  }
}

void SimContent::Sync() {
  for (const Change& change : changes_) {
    if (change.kind == Change::Kind::kTruncate) {
      if (change.position < durable_.size()) durable_.Resize(change.position);
    } else {
      durable_.SharePages(written_, change.position, change.length);
    }
  }
  durable_.Resize(written_.size());
  changes_.clear();
}

void SimContent::FailSync(Random& random) {
  diverged_ = true;
  Settle(random);
}

void SimContent::PowerLoss(Random& random) {
  if (changes_.empty() && !diverged_) return;  // the two states are equal
  written_ = SimPages();  // before the changes: a page that is shared would be copied
  Settle(random);
  written_ = durable_;
  diverged_ = false;
}

void SimContent::Corrupt(uint64_t position, std::string_view bytes) {
  written_.Write(position, bytes);
  if (position < durable_.size())
    durable_.Write(position, bytes.substr(0, durable_.size() - position));
}

void SimContent::Cut(uint64_t size) {
  written_.Resize(size);
  if (size < durable_.size()) durable_.Resize(size);
}

void SimContent::Settle(Random& random) {
  // Runs in which nothing or all survives are the extremes that independent draws would never
  // reach.
  const uint64_t mode = random.Below(4);
  for (const Change& change : changes_) {
    const uint64_t fate = mode == 0 ? 1 : mode == 1 ? 0 : random.Below(3);
    if (fate == 0) {
      Keep(change);
    } else if (fate == 1) {
      Lose(change, random);
    } else {
      Tear(change, random);
    }
  }
  changes_.clear();
}

void SimContent::Keep(const Change& change) {
  switch (change.kind) {
    case Change::Kind::kWrite:
      durable_.Write(change.position, change.bytes);
      break;
    case Change::Kind::kZeros:
      durable_.WriteZeros(change.position, change.length);
      break;
    case Change::Kind::kGrow:
      if (durable_.size() < change.position) durable_.Resize(change.position);
      break;
    case Change::Kind::kTruncate:
      durable_.Resize(change.position);
      break;
  }
}

// The size of a file may reach the disk without the bytes that made it grow.
void SimContent::Lose(const Change& change, Random& random) {
  const uint64_t end = change.position + change.length;
  if (change.length > 0 && durable_.size() < end && random.OneIn(4)) durable_.Resize(end);
}

void SimContent::Tear(const Change& change, Random& random) {
  if (change.kind == Change::Kind::kZeros) {
    // A prefix: nothing tells zeros that were written apart from those that a longer file reads.
    durable_.WriteZeros(change.position, random.Below(change.length + 1));
    return;
  }
  if (change.kind != Change::Kind::kWrite) {  // a size changes whole or not at all
    if (random.OneIn(2)) Keep(change);
    return;
  }
  uint64_t coins = 0;
  unsigned left = 0;
  std::string_view rest = change.bytes;
  for (uint64_t at = change.position; !rest.empty();) {
    const uint64_t here = std::min<uint64_t>(rest.size(), kSimSectorBytes - at % kSimSectorBytes);
    if (left == 0) {
      coins = random.Next();
      left = 64;
    }
    if ((coins & 1) != 0) durable_.Write(at, rest.substr(0, here));
    coins >>= 1;
    --left;
    at += here;
    rest.remove_prefix(here);
  }
  Lose(change, random);
}

}  // namespace varve
