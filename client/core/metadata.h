// Metadata: which topics exist, how many partitions they have, and where their leaders are.
#ifndef VARVE_CLIENT_CORE_METADATA_H_
#define VARVE_CLIENT_CORE_METADATA_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "varve/status.h"

namespace varve::client {

class ClientCore;

struct TopicInfo {
  std::string name;
  uint32_t max_batch_bytes = 0;
  // host:port of each partition's leader; empty while there is none.
  std::vector<std::string> leaders;
};

// Belongs to the executor of the ClientCore, which owns it.
class Metadata {
 public:
  explicit Metadata(ClientCore& core) : core_(core) {}

  using Done = std::function<void(const Status&, std::shared_ptr<const TopicInfo>)>;
  // Asks the cluster. Questions about one topic that are under way at a time become one.
  void Refresh(const std::string& topic, Done done);
  // What is known; null when nothing is.
  [[nodiscard]] std::shared_ptr<const TopicInfo> Find(const std::string& topic) const;
  // A broker named the leader of a partition.
  void NoteLeader(const std::string& topic, uint32_t partition, const std::string& address);
  // The leader did not answer, or is none: forget it until the next refresh.
  void ForgetLeader(const std::string& topic, uint32_t partition);

 private:
  struct Question;
  void Merge(const std::shared_ptr<Question>& question);

  ClientCore& core_;
  bool doubted_ = false;  // a leader that the metadata named does not lead, or is not there
  std::map<std::string, std::shared_ptr<const TopicInfo>> topics_;
  std::map<std::string, std::shared_ptr<Question>> under_way_;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_METADATA_H_
