// Membership: the next configuration of a group on its way to where it should be.
#ifndef VARVE_SERVER_METADATA_MEMBERSHIP_H_
#define VARVE_SERVER_METADATA_MEMBERSHIP_H_

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/config.h"
#include "common/types.h"

namespace varve::server {

// Pure functions: the leader of the group calls them again when anything changes. Each step is one
// that Raft allows: any change of learners with one voter more or less, or a joint configuration
// that is left by itself. nullopt when nothing is to be done, or nothing can be yet.

// What the members of the metadata log are to be.
struct MetadataMembers {
  std::map<NodeId, ReplicaEpoch> brokers;  // the replica that each broker has now
  std::set<NodeId> leaving;                // of those: they are to learn only
  // Learners that have caught up and voters that live, the leader among them.
  std::set<ReplicaId> ready;
  ReplicaId leader;
};
// Towards: every broker a learner or voter, and 1, 3 or 5 voters, as many as there are brokers for
// (from 1 directly to 3: two voters survive no failure and fail twice as often).
std::optional<Configuration> NextMetadataMembers(const Configuration& now,
                                                 const MetadataMembers& wanted);

// Towards: the voters are exactly `goal`. New ones learn until all of them have caught up, then
// they take over in one joint step, or in a single one. A former replica of a node that is to have
// a new one goes first: they cannot be members side by side. `ready` as above.
std::optional<Configuration> NextReplicas(const Configuration& now,
                                          const std::vector<ReplicaId>& goal,
                                          const std::set<ReplicaId>& ready);
// Whether the goal is reached.
bool AreReplicas(const Configuration& now, const std::vector<ReplicaId>& goal);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_MEMBERSHIP_H_
