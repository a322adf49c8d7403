#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "common/error.h"

namespace varve::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  ~Client() { ::close(fd_); }
  // False when the server closed.
  bool Send(const std::string& bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  std::string ReadAll() {
    std::string all;
    char block[4096];
    for (ssize_t n; (n = ::recv(fd_, block, sizeof(block), 0)) > 0;)
      all.append(block, static_cast<size_t>(n));
    return all;
  }

 private:
  int fd_;
};

class Http : public testing::Test {
 protected:
  void Start(std::chrono::milliseconds deadline = std::chrono::milliseconds(5000)) {
    auto server = HttpServer::Start(
        {.host = "127.0.0.1", .port = 0, .threads = 2, .deadline = deadline},
        {{"/hello",
          [this](const HttpQuery& query) {
            ++calls_;
            const auto name = query.find("name");
            return HttpResponse{.body = "hello " + (name == query.end() ? "" : name->second)};
          }},
         {"/sick", [](const HttpQuery&) { return HttpResponse{.status = 503, .body = "sick\n"}; }},
         {"/large",
          [](const HttpQuery&) { return HttpResponse{.body = std::string(1 << 20, 'x')}; }}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
  }
  std::string Ask(const std::string& request) {
    Client client(server_->port());
    client.Send(request);
    return client.ReadAll();
  }
  std::atomic<int> calls_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(Http, AnswersByPathWithQuery) {
  Start();
  const std::string answer = Ask("GET /hello?name=a%20b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("hello a b"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_THAT(Ask("GET /sick HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503"));
}

TEST_F(Http, UnknownPathListsWhatThereIs) {
  Start();
  const std::string answer = Ask("GET /nope HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(answer, HasSubstr("/hello\n"));
}

TEST_F(Http, LargeAnswersArriveWhole) {
  Start();
  const std::string answer = Ask("GET /large HTTP/1.1\r\n\r\n");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, size_t{1} << 20);
}

TEST_F(Http, OnlyGetWithoutBody) {
  Start();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
    EXPECT_THAT(Ask(std::string(method) + " /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
                StartsWith("HTTP/1.1 405"))
        << method;
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(calls_, 0);
}

TEST_F(Http, HeadsBeyondEightKibibytesAreNotServed) {
  Start();
  std::string many = "GET /hello HTTP/1.1\r\n";
  while (many.size() < 9000) many += "A: b\r\n";
  const std::string line = "GET /hello HTTP/1.1\r\nA: " + std::string(20000, 'b') + "\r\n\r\n";
  for (const std::string& request :
       {many + "\r\n", line, "GET /" + std::string(20000, 'a') + " HTTP/1.1\r\n\r\n"})
    EXPECT_THAT(Ask(request), testing::Not(HasSubstr(" 200 ")));
  EXPECT_EQ(calls_, 0);
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\n\r\n"), HasSubstr(" 200 "));
}

TEST_F(Http, GarbageIsRefusedAndHarmsNobody) {
  Start();
  for (const std::string& bytes :
       {std::string("\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string("GET /hello HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n")})
    EXPECT_THAT(Ask(bytes), testing::Not(HasSubstr(" 200 ")));
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\n\r\n"), HasSubstr(" 200 "));
}

TEST_F(Http, SilentClientsAreCutAtTheDeadlineAndOthersAreServed) {
  Start(std::chrono::milliseconds(100));
  // More of them than threads, one in the middle of its head.
  Client a(server_->port()), b(server_->port()), c(server_->port());
  c.Send("GET /hello HT");
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\n\r\n"), HasSubstr(" 200 "));
  EXPECT_THAT(c.ReadAll(), testing::Not(HasSubstr(" 200 ")));
}

TEST_F(Http, PortInUseIsNamed) {
  Start();
  const auto second = HttpServer::Start({.host = "127.0.0.1", .port = server_->port()}, {});
  EXPECT_EQ(ReasonOf(second.status()), Reason::ADDRESS_IN_USE) << second.status();
  const absl::Status probe = ProbeAddress("127.0.0.1", server_->port());
  EXPECT_EQ(ReasonOf(probe), Reason::ADDRESS_IN_USE) << probe;
  EXPECT_EQ(ReasonOf(ProbeAddress("192.0.2.1", 9)), Reason::INVALID_CONFIG);
  const int port = server_->port();
  server_.reset();
  EXPECT_TRUE(ProbeAddress("127.0.0.1", port).ok());
}

}  // namespace
}  // namespace varve::server
