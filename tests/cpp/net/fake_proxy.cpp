#include "net/fake_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mdp::net::test {
namespace {

// The target is on loopback too, whatever its name: CONNECT localhost:1234 HTTP/1.1
int open_target(const std::string& request) {
  const std::size_t end = request.find(" HTTP/");
  const std::string port = request.substr(request.rfind(':', end) + 1, end);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

// Until either end closes.
void pass_on(int client, int target) {
  char buffer[16 * 1024];
  pollfd ends[2] = {{client, POLLIN, 0}, {target, POLLIN, 0}};
  while (::poll(ends, 2, -1) > 0) {
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t n = ::recv(ends[i].fd, buffer, sizeof buffer, 0);
      if (n <= 0) return;
      const char* at = buffer;
      for (ssize_t left = n; left > 0;) {
        const ssize_t sent = ::send(ends[1 - i].fd, at, static_cast<std::size_t>(left), MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += sent;
        left -= sent;
      }
    }
  }
}

}  // namespace

FakeProxy::FakeProxy(Then then, std::string answer)
    : then_(then),
      answer_(std::move(answer)),
      server_([this](Connection& connection) { serve(connection); }, {.tls = false}) {}

std::vector<std::string> FakeProxy::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void FakeProxy::serve(Connection& connection) {
  const std::string request = connection.read_request();
  if (request.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  switch (then_) {
    case Then::Close:
      return;
    case Then::Stall:
      connection.read_request();  // until the client goes
      return;
    case Then::Answer:
      connection.write(answer_);
      connection.read_request();
      return;
    case Then::TunnelAndCutInHandshake: {
      connection.write(answer_);
      char hello = 0;
      ::recv(connection.native_handle(), &hello, 1, 0);
      connection.cut();
      connection.read_request();
      return;
    }
    case Then::Tunnel: {
      const int target = open_target(request);
      if (target < 0) {
        connection.write("HTTP/1.1 502 Bad Gateway\r\n\r\n");
        return;
      }
      connection.write(answer_);
      pass_on(connection.native_handle(), target);
      ::close(target);
      return;
    }
  }
}

}  // namespace mdp::net::test
