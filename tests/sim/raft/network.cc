#include "tests/sim/raft/network.h"

#include <algorithm>

namespace varve::raftsim {
namespace {

bool CarriesEntries(MessageType type) {
  return type == MessageType::kAppend || type == MessageType::kAppendReply ||
         type == MessageType::kInstall || type == MessageType::kInstallReply;
}

}  // namespace

bool Network::Drawn(Fault fault, uint32_t percent) {
  if (calm_ || !options_.on[static_cast<size_t>(fault)] || random_->Below(100) >= percent) {
    return false;
  }
  ++(*counts_)[static_cast<size_t>(fault)];
  return true;
}

std::vector<SimTime> Network::Send(SimTime now, uint32_t from, uint32_t to, MessageType type) {
  Link& link = links_[from][to];
  const bool entries = CarriesEntries(type);
  if (link.cut || (entries && link.black_hole)) return {};
  if (Drawn(Fault::kLoss, options_.loss_percent)) return {};
  const SimTime begins = std::max(now, link.clogged_until);
  const auto arrival = [&] {
    return begins + options_.delay + random_->Below(options_.delay_spread);
  };
  std::vector<SimTime> arrivals;
  if (Drawn(Fault::kReorder, options_.reorder_percent)) {
    // Far enough back to meet the messages of a later term.
    arrivals.push_back(arrival() +
                       random_->Below(random_->OneIn(8) ? 4 * kSeconds : 100 * kMillis));
  } else {
    SimTime& last = link.last[entries ? 1 : 0];
    last = std::max(last + 1, arrival());
    arrivals.push_back(last);
  }
  if (Drawn(Fault::kDuplicate, options_.duplicate_percent)) {
    arrivals.push_back(arrival() + random_->Below(2 * kSeconds));
  }
  return arrivals;
}

void Network::Heal() {
  for (auto& row : links_) {
    for (Link& link : row) {
      link.cut = false;
      link.black_hole = false;
      link.clogged_until = 0;
    }
  }
}

}  // namespace varve::raftsim
