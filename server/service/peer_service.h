// PeerService: what brokers ask each other, apart from the packets of Raft; PeerClient: the side
// that asks. Without a word of gRPC, so that the simulator implements both.
#ifndef VARVE_SERVER_SERVICE_PEER_SERVICE_H_
#define VARVE_SERVER_SERVICE_PEER_SERVICE_H_

#include <string>
#include <vector>

#include "common/clock.h"
#include "common/types.h"
#include "server/service/broker_service.h"

namespace varve::server {

// A broker as the metadata knows it.
struct BrokerInfo {
  NodeId node;
  DirectoryId directory;       // names its data; another one is a broker that lost its data
  std::string client_address;  // host:port of the gRPC door; empty: the one that the client dialled
  std::string peer_address;    // host:port for other brokers
  bool operator==(const BrokerInfo&) const = default;
};

struct HelloRequest {
  NodeId node;        // of who asks
  ClusterId cluster;  // empty: in none yet
};
struct HelloReply {
  NodeId node;
  ClusterId cluster;      // empty: in none yet
  DirectoryId directory;  // empty: none yet
  uint64_t process_epoch = 0;
  bool directory_empty = false;  // no file of varve's at all
  NodeId controller;             // 0: not known
  std::vector<BrokerInfo> brokers;
};

// Asks the controller for a place in the cluster, or tells it the addresses of now. Idempotent.
struct JoinRequest {
  BrokerInfo broker;
};
struct JoinReply {
  ClusterId cluster;
  ReplicaEpoch metadata_epoch;  // of this broker's replica of the metadata log
  std::vector<BrokerInfo> brokers;
  uint64_t recovery_number = 0;  // of the cluster; a new directory begins with it
};

// What a broker tells the controller of its replicas. At least once, until it is taken.
struct ReplicaReport {
  enum class Kind : uint8_t {
    kGoalReached =
        1,         // by the leader: the group's voters are exactly `replicas`, and nobody learns
    kSuspect = 2,  // the one replica lost something: it is of use under a new epoch only
    kRemoved = 3,  // the data of the one replica, and of its node's former ones, is gone
  };
  Kind kind = Kind::kGoalReached;
  GroupId group;
  std::vector<ReplicaId> replicas;
  bool operator==(const ReplicaReport&) const = default;
};
struct ReportRequest {
  std::vector<ReplicaReport> reports;
};
struct ReportReply {};

// Asks that `to` leads the group. The broker `to` asks the leader's, if it would lead; that one
// hands over. Answered when the hand-over has begun.
struct TransferRequest {
  GroupId group;
  NodeId to;
};
struct TransferReply {};

// Thread-safe. Answers come on any executor, never from within the call.
class PeerService {
 public:
  virtual ~PeerService() = default;
  virtual void Hello(HelloRequest request, Reply<HelloReply> reply) = 0;
  // NOT_LEADER, with leader_address (the peer address), on any broker but the controller;
  // FOREIGN_DIRECTORY for a node id that another directory has.
  virtual void Join(JoinRequest request, Reply<JoinReply> reply) = 0;
  // Answered when what follows from the reports is decided. NOT_LEADER on any broker but the
  // controller.
  virtual void Report(ReportRequest request, Reply<ReportReply> reply) = 0;
  // OVERLOADED when the replica would not lead now, or lags; NOT_LEADER when it cannot be done
  // here.
  virtual void Transfer(TransferRequest request, Reply<TransferReply> reply) = 0;
};

// Thread-safe. UNAVAILABLE when nobody answers there, DEADLINE_EXCEEDED after `timeout`.
class PeerClient {
 public:
  virtual ~PeerClient() = default;
  virtual void Hello(const std::string& address, HelloRequest request, Nanos timeout,
                     Reply<HelloReply> reply) = 0;
  virtual void Join(const std::string& address, JoinRequest request, Nanos timeout,
                    Reply<JoinReply> reply) = 0;
  virtual void Report(const std::string& address, ReportRequest request, Nanos timeout,
                      Reply<ReportReply> reply) = 0;
  virtual void Transfer(const std::string& address, TransferRequest request, Nanos timeout,
                        Reply<TransferReply> reply) = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_PEER_SERVICE_H_
