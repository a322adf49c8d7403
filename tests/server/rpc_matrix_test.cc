// Every RPC has a row in the matrix of RPC and right, and every row an RPC.
#include <gtest/gtest.h>

#include <google/protobuf/descriptor.h>

#include <map>
#include <set>
#include <string>

#include "server/service/gate.h"
#include "varve/v1/cluster.pb.h"
#include "varve/v1/log.pb.h"
#include "varve/v1/topic.pb.h"

namespace varve::server {
namespace {

std::set<std::string> MethodsOf(const google::protobuf::FileDescriptor& file) {
  std::set<std::string> methods;
  for (int i = 0; i < file.service_count(); ++i)
    for (int k = 0; k < file.service(i)->method_count(); ++k)
      methods.insert(file.service(i)->full_name() + "/" + file.service(i)->method(k)->name());
  return methods;
}

TEST(RpcMatrixTest, EveryRpcHasExactlyOneRowAndEveryRowAnRpc) {
  std::set<std::string> methods;
  for (const auto* file :
       {v1::ProduceRequest::descriptor()->file(), v1::CreateTopicRequest::descriptor()->file(),
        v1::GetFeaturesRequest::descriptor()->file()})
    methods.merge(MethodsOf(*file));
  EXPECT_GE(methods.size(), 11u);
  std::map<std::string, int> rows;
  for (const RpcRow& row : RpcRows()) {
    ++rows[std::string(row.method)];
    EXPECT_EQ(&RowOf(row.rpc), &row);
  }
  for (const std::string& method : methods) EXPECT_EQ(rows[method], 1) << method;
  for (const auto& [method, count] : rows) EXPECT_TRUE(methods.contains(method)) << method;
}

}  // namespace
}  // namespace varve::server
