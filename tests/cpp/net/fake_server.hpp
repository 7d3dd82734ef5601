// A TLS (or plain) server on loopback for the tests of net: WebSocket and HTTP by hand, so that it can
// misbehave at any byte. Blocking, one thread per connection, each running the script the test gives.
//
// It is deliberately not Beast: two ends of one library would agree on its mistakes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/ws_encode.hpp"

namespace mdp::net::test {

// Polls until `condition` holds; false after a deadline that only a hang reaches.
bool eventually(const std::function<bool()>& condition);

enum class CertificateKind { Good, Expired, NotYetValid, WrongHost, SelfSigned, UnknownCa };

// Files in a temporary folder, removed with the object. One CA; `Good` is for localhost and 127.0.0.1, ::1.
class Certificates {
 public:
  Certificates();
  ~Certificates();
  std::string ca_file() const { return folder_ + "/ca.pem"; }
  // PEM certificate and key in one file.
  std::string server_file(CertificateKind kind) const;
  static const Certificates& shared();

 private:
  std::string folder_;
};

class Connection {
 public:
  Connection(int socket, void* ssl_context, int index);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int index() const { return index_; }  // 0 for the first connection
  int native_handle() const { return socket_; }
  bool handshake();  // TLS; true at once on a plain server

  // HTTP: the request up to its empty line; empty at the end of the connection.
  std::string read_request();
  // So many bytes, as of a body; fewer at the end of the connection.
  std::string read_bytes(std::size_t count);
  // Reads the upgrade request and answers 101, with `then` in the same write. The request is kept in
  // `request`.
  bool accept_websocket(std::string_view then = "");
  std::string request;

  bool write(std::string_view bytes);
  bool send_frame(int opcode, std::string_view payload, bool fin = true);
  bool send_text(std::string_view payload) { return send_frame(1, payload); }
  static std::string encode(int opcode, std::string_view payload, bool fin = true) {
    return encode_frame(opcode, payload, fin);
  }

  struct Frame {
    int opcode;
    std::string payload;
  };
  std::optional<Frame> read_frame();  // nullopt at the end of the connection
  void read_until_closed();           // answers pings and close frames meanwhile

  void reset();      // RST, nothing else
  void cut();        // FIN without TLS close_notify
  void shut_down();  // from another thread: ends blocking calls

 private:
  bool read_exactly(char* to, std::size_t bytes);

  std::mutex mutex_;  // a socket is closed by its script, and shut down by the server's destructor
  int socket_;
  void* ssl_ = nullptr;
  int index_;
};

struct ServerOptions {
  bool tls = true;
  CertificateKind certificate = CertificateKind::Good;
  const char* address = "127.0.0.1";
  int send_buffer_bytes = 0;
};

class FakeServer {
 public:
  using Script = std::function<void(Connection&)>;

  explicit FakeServer(Script script, ServerOptions options = {});
  ~FakeServer();

  std::uint16_t port() const { return port_; }
  std::string ws_url(std::string_view host = "localhost") const {
    return url(options_.tls ? "wss" : "ws", host);
  }
  std::string rest_url(std::string_view host = "localhost") const {
    return url(options_.tls ? "https" : "http", host);
  }
  int accepted() const { return accepted_; }

 private:
  std::string url(std::string_view scheme, std::string_view host) const;
  void accept_loop();

  Script script_;
  ServerOptions options_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  void* ssl_context_ = nullptr;
  std::atomic<int> accepted_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace mdp::net::test
