// A proxy on loopback for the tests of net, which tunnels by CONNECT, or misbehaves. It stands on a plain
// FakeServer: the answer to CONNECT is the test's.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "net/fake_server.hpp"

namespace mdp::net::test {

class FakeProxy {
 public:
  // What the proxy does after the CONNECT; `Tunnel` answers 200 and passes bytes on.
  enum class Then { Tunnel, Answer, Stall, Close, TunnelAndCutInHandshake };

  explicit FakeProxy(Then then, std::string answer = "HTTP/1.1 200 Connection established\r\n\r\n");

  std::uint16_t port() const { return server_.port(); }
  // `user_info`: "user:password@" or empty.
  std::string url(std::string_view user_info = "") const {
    return std::string("http://").append(user_info) + "127.0.0.1:" + std::to_string(port());
  }
  // The CONNECT requests so far, each with its header.
  std::vector<std::string> requests() const;
  int accepted() const { return server_.accepted(); }

 private:
  void serve(Connection& connection);

  Then then_;
  std::string answer_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  FakeServer server_;
};

}  // namespace mdp::net::test
