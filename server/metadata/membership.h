// Membership of the metadata log: which brokers vote in it and which only learn.
#ifndef VARVE_SERVER_METADATA_MEMBERSHIP_H_
#define VARVE_SERVER_METADATA_MEMBERSHIP_H_

#include <map>
#include <optional>
#include <set>

#include "common/config.h"
#include "common/types.h"

namespace varve::server {

// The next step from `now` towards: every broker a learner or voter, and 1, 3 or 5 voters, as many
// as there are brokers for (from 1 directly to 3: two voters survive no failure and fail twice as
// often). `brokers`: the replica that each broker has now. `ready`: learners that have caught up
// and voters that live. nullopt when nothing is to be done, or nothing can be yet.
//
// A pure function: the leader calls it again when anything changes. Each step is one that Raft
// allows: any change of learners with one voter more or less, or a joint configuration that is left
// by itself.
std::optional<Configuration> NextMetadataMembers(const Configuration& now,
                                                 const std::map<NodeId, ReplicaEpoch>& brokers,
                                                 const std::set<ReplicaId>& ready);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_MEMBERSHIP_H_
