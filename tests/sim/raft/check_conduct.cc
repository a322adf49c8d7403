// What a replica may not do although nothing need be lost by it at once. I2: a vote stays within
// its term. I3: term and vote never go back, a restart included. I5: what is durable at a start
// counts. I6: who asks for votes tells the truth about its log, and leadership is handed to who has
// everything. L1: timers run for silence alone, and who does not vote neither campaigns nor leads.
// L2: what is committed is not rejected, and a joint configuration is left.
#include <algorithm>

#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

// Twice the longest timeout that is drawn, as after a start, and one more.
constexpr uint64_t kLongestTimeoutTicks = 41;

bool Votes(const Configuration& configuration, ReplicaId replica) {
  const auto in = [&](const std::vector<ReplicaId>& list) {
    return std::find(list.begin(), list.end(), replica) != list.end();
  };
  return in(configuration.voters) || in(configuration.outgoing);
}

class Conduct final : public Checker {
 public:
  explicit Conduct(const Disks& disks) : disks_(disks) {}

  void OnStart(const ReplicaView& view, const ReplicaState& state) override {
    const HardState& held = view.durable->hard_state;
    if (state.term != held.term || state.vote != held.vote) {
      Violated("I3: ", Show(view.id), " starts in term ", state.term, " and left off in ",
               held.term);
    }
    if (state.durable != view.durable->last_index()) {
      Violated("I5: ", Show(view.id), " starts with ", view.durable->last_index(),
               " on its disk and believes ", state.durable, " durable");
    }
  }

  void OnWrite(const ReplicaView& view, const ReplicaState& /*before*/,
               const ReplicaState& /*after*/, const DiskWrite& write) override {
    const HardState& held = view.written->hard_state;
    if (write.hard_state) {
      const HardState& next = *write.hard_state;
      if (next.term < held.term) {
        Violated("I3: ", Show(view.id), " writes term ", next.term, " behind ", held.term);
      }
      if (next.term == held.term && !held.vote.empty() && next.vote != held.vote) {
        Violated("I2: ", Show(view.id), " writes another vote in term ", next.term);
      }
    }
  }

  void OnStep(const Step& step) override {
    const ReplicaState &before = step.before, &after = step.after;
    if (after.term == before.term && !before.vote.empty() && after.vote != before.vote) {
      Violated("I2: ", Show(step.view.id), " takes its vote back in term ", after.term);
    }
    CheckStanding(step);
    CheckPatience(step);
    const bool hears = after.role == Role::kFollower && !after.leader.empty() &&
                       after.ticks_without_leader < kLoyalTicks;
    if (hears && !after.needs_tick && !step.view.disk_failed) {
      Violated("L1: ", Show(step.view.id), " would hear its leader for ever: it has no timer");
    }
    // One to another incarnation of this node is late, whatever it says.
    const bool addressed = step.received && step.received->to == step.view.id;
    if (addressed) OnReceived(step, *step.received);
    for (const Packet& packet : step.effects->messages) OnSent(step, packet);
  }

  void AtEnd(const Ending& ending) override {
    for (const ReplicaState& state : ending.at_rest) {
      const bool joint = state.configuration && state.configuration->auto_leave;
      if (state.role == Role::kLeader && joint) {
        Violated("L2: a joint configuration that is to be left is not left");
      }
    }
  }

 private:
  // A configuration that is not committed may yet be truncated, so it binds nobody here.
  void CheckStanding(const Step& step) {
    if (step.after.role == Role::kFollower) return;
    const SimConfigurationAt newest = step.view.written->Newest();
    if (newest.index > step.after.commit || Votes(*newest.configuration, step.view.id)) return;
    Violated("L1: ", Show(step.view.id), " campaigns or leads, and does not vote since ",
             newest.index, " is committed");
  }

  // Also who is removed by a configuration that is not committed: nobody else's log may be new
  // enough.
  void CheckPatience(const Step& step) {
    const ReplicaView& view = step.view;
    const bool waits = step.after.role == Role::kFollower && !view.disk_failed && !view.disk_slow;
    const bool ticks = step.after.waited_ticks > step.before.waited_ticks;
    if (!waits || !ticks || step.after.waited_ticks <= kLongestTimeoutTicks) return;
    const SimConfigurationAt newest = view.written->Newest();
    bool may = Votes(*newest.configuration, view.id);
    if (newest.index > step.after.commit) {
      LogImage before = *view.written;
      before.Truncate(newest.index);
      may = may || Votes(*before.Newest().configuration, view.id);
    }
    if (may) Violated("L1: ", Show(view.id), " votes, hears nobody and does not campaign");
  }

  void OnReceived(const Step& step, const Packet& packet) {
    const ReplicaState &before = step.before, &after = step.after;
    const bool follows = before.role == Role::kFollower && after.role == Role::kFollower;
    if (packet.type == MessageType::kAppend) {
      const bool of_leader = packet.term == after.term && packet.from == after.leader;
      if (of_leader && after.ticks_without_leader > 0) {
        Violated("L1: ", Show(step.view.id), " gets entries and does not hear its leader");
      }
      CheckNotRejected(step, packet);
    } else if (packet.type == MessageType::kReadProbe) {
      if (follows && after.ticks_without_leader < before.ticks_without_leader) {
        Violated("L1: ", Show(step.view.id), " takes a read probe for a sign of progress");
      }
    } else if (packet.type == MessageType::kVote) {
      const auto granted = [&](const Packet& sent) {
        return sent.type == MessageType::kVoteReply && !sent.reject;
      };
      const auto& sent = step.effects->messages;
      // A vote that waits for the disk is granted, too.
      const bool refused =
          std::none_of(sent.begin(), sent.end(), granted) && after.vote != packet.from;
      if (follows && refused && after.waited_ticks < before.waited_ticks) {
        Violated("L1: ", Show(step.view.id), " waits again for a vote that it refused");
      }
    }
  }

  // Equal on all replicas, whether it is still there or was trimmed.
  void CheckNotRejected(const Step& step, const Packet& append) {
    if (append.term < step.before.term || append.previous > step.before.commit) return;
    for (const Packet& packet : step.effects->messages) {
      if (packet.type == MessageType::kAppendReply && packet.reject && packet.to == append.from) {
        Violated("L2: ", Show(step.view.id), " rejects what follows ", append.previous,
                 " and has committed ", step.before.commit);
      }
    }
  }

  void OnSent(const Step& step, const Packet& packet) {
    const LogImage& log = *step.view.written;
    const bool asks = packet.type == MessageType::kPreVote || packet.type == MessageType::kVote;
    if (asks && (packet.previous != log.last_index() || packet.last_term != log.last_term())) {
      Violated("I6: ", Show(step.view.id), " asks for votes with an end at ", packet.previous,
               " of term ", packet.last_term, " and holds ", log.last_index(), " of term ",
               log.last_term());
    }
    // Who is removed, or loses its disk, hands over in haste; it leads no more.
    if (packet.type != MessageType::kTimeoutNow || step.after.role != Role::kLeader) return;
    const LogImage* target = disks_.DurableOf(packet.to);
    if (target == nullptr || !target->Holds(step.after.last, step.after.term)) {
      Violated("I6: ", Show(step.view.id), " hands leadership to ", Show(packet.to),
               ", which lacks ", step.after.last);
    }
  }

  const Disks& disks_;
};

}  // namespace

std::unique_ptr<Checker> ConductChecker(const Disks& disks) {
  return std::make_unique<Conduct>(disks);
}

}  // namespace varve::raftsim
