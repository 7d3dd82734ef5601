// What WebSocket and REST stand on: a TCP socket that knows when its bytes arrived, and TLS on top of it. The
// Dialer opens both. Private to net (it includes Asio and OpenSSL). Loop thread only.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "mdp/core/counters.hpp"
#include "mdp/net/io_loop_impl.hpp"
#include "mdp/net/tls_options.hpp"
#include "mdp/net/url.hpp"

namespace mdp::net {

namespace beast = boost::beast;
using tcp = asio::ip::tcp;
// The executor is spelled out: the default one is type-erased, which costs an allocation here and there.
using Socket = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;

// Written by the loop thread at every socket read. Outlives the sockets that write it.
struct Traffic {
  core::Counter& bytes;
  core::Counter& reads;
  std::int64_t last_read_ns = 0;                // loop thread only
  std::atomic<std::int64_t> shared_read_ns{0};  // the same, for other threads
};

// A TCP socket that takes the time right after the system call that brought the bytes. What is above it (TLS,
// WebSocket) hands on a frame only when the last of its bytes came out of here, so Traffic::last_read_ns at
// that moment is the frame's receive time, however long decryption or a queue of handlers took.
class TcpStream {
 public:
  using executor_type = Socket::executor_type;
  using lowest_layer_type = Socket;

  TcpStream(IoLoop::Impl& loop, Traffic& traffic) : loop_(loop), traffic_(traffic), socket_(loop.io) {}

  executor_type get_executor() noexcept { return socket_.get_executor(); }
  Socket& lowest_layer() noexcept { return socket_; }
  const Socket& lowest_layer() const noexcept { return socket_; }
  Socket& socket() noexcept { return socket_; }

  // Reads into the first buffer only. A zero-byte read (TLS asks for one when it has data already) comes back
  // right after the present handler, without a look at the socket.
  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler);

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    socket_.async_write_some(buffers, std::forward<Handler>(handler));
  }

  // What bytes there are, without waiting; error would_block: none. Once the socket was found empty that is
  // so, without a system call, until reset().
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& ec);
  // Only TLS needs it, for an alert of its own inside read_some().
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& ec) {
    return socket_.write_some(buffers, ec);
  }

  // After (re)connecting, and when the socket became readable: the next read asks the socket first.
  void reset() noexcept { drained_ = false; }

  template <class Handler>
  struct ReadOp {
    TcpStream* stream;
    asio::mutable_buffer buffer;
    Handler handler;

    void operator()(error_code ec);  // the socket is readable, or the wait failed
  };

 private:
  // One recv(). False: nothing there yet.
  bool read_now(asio::mutable_buffer buffer, error_code& ec, std::size_t& bytes) noexcept;

  IoLoop::Impl& loop_;
  Traffic& traffic_;
  Socket socket_;
  bool drained_ = false;  // the last read left nothing behind: wait before reading, not after a futile read
};

// Plain TCP or TLS over it, as one type, so that Beast is instantiated once.
class Transport {
 public:
  using executor_type = TcpStream::executor_type;
  using lowest_layer_type = Socket;
  using TlsStream = asio::ssl::stream<TcpStream&>;

  // `tls`: nullptr for a plain connection; else it outlives the transport.
  Transport(IoLoop::Impl& loop, Traffic& traffic, asio::ssl::context* tls) : tcp_(loop, traffic) {
    if (tls != nullptr) tls_.emplace(tcp_, *tls);
  }

  executor_type get_executor() noexcept { return tcp_.get_executor(); }
  Socket& lowest_layer() noexcept { return tcp_.socket(); }
  const Socket& lowest_layer() const noexcept { return tcp_.lowest_layer(); }
  TcpStream& tcp_stream() noexcept { return tcp_; }
  TlsStream* tls_stream() noexcept { return tls_ ? &*tls_ : nullptr; }

  // The next so many reads bring one byte each. For the answer to the upgrade: Beast then leaves the frames
  // behind it where they are.
  void read_bytewise(std::size_t reads) noexcept { bytewise_reads_ = reads; }

  // What plaintext there is, without waiting, at most one TLS record; error would_block: none. Not while an
  // asynchronous read is under way.
  std::size_t read_some(asio::mutable_buffer buffer, error_code& ec) {
    return tls_ ? tls_->read_some(buffer, ec) : tcp_.read_some(buffer, ec);
  }

  template <class Buffers, class Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (bytewise_reads_ > 0) {
      --bytewise_reads_;
      const auto first = asio::buffer_sequence_begin(buffers);
      const asio::mutable_buffer byte =
          first == asio::buffer_sequence_end(buffers) ? asio::mutable_buffer() : asio::buffer(*first, 1);
      return tls_ ? tls_->async_read_some(byte, std::forward<Handler>(handler))
                  : tcp_.async_read_some(byte, std::forward<Handler>(handler));
    }
    if (tls_) {
      tls_->async_read_some(buffers, std::forward<Handler>(handler));
    } else {
      tcp_.async_read_some(buffers, std::forward<Handler>(handler));
    }
  }

  template <class Buffers, class Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) {
      tls_->async_write_some(buffers, std::forward<Handler>(handler));
    } else {
      tcp_.async_write_some(buffers, std::forward<Handler>(handler));
    }
  }

  void close() noexcept {
    error_code ignored;
    tcp_.socket().close(ignored);
  }

 private:
  TcpStream tcp_;
  std::optional<TlsStream> tls_;
  std::size_t bytewise_reads_ = 0;
};

// Beast calls this after the closing handshake. No TLS close_notify: the close frames already agreed on the
// end, and waiting for the venue's answer would only delay the reconnect.
template <class Handler>
void async_teardown(beast::role_type /*role*/, Transport& transport, Handler&& handler) {
  error_code ignored;
  transport.lowest_layer().shutdown(Socket::shutdown_both, ignored);
  // A zero-byte read on the plain stream is the ready list's "call this next".
  transport.tcp_stream().async_read_some(
      asio::mutable_buffer(),
      [done = std::forward<Handler>(handler)](error_code, std::size_t) mutable { done(error_code()); });
}

// Beast calls this to give a connection up.
inline void beast_close_socket(Transport& transport) noexcept { transport.close(); }

// Makes the context for `url` (nullopt for ws and http). Throws ConfigError as check_tls() does. Logs a
// warning where verification is off.
std::optional<asio::ssl::context> make_tls_context(const Url& url, const TlsOptions& options);

// OpenSSL's words where there are any.
std::string describe(const error_code& ec);

// --- TcpStream, inline ---

template <class Buffers>
std::size_t TcpStream::read_some(const Buffers& buffers, error_code& ec) {
  const auto first = asio::buffer_sequence_begin(buffers);
  std::size_t bytes = 0;
  ec = {};
  if (first == asio::buffer_sequence_end(buffers) || asio::mutable_buffer(*first).size() == 0) return 0;
  if (drained_ || !read_now(*first, ec, bytes)) ec = asio::error::would_block;
  return bytes;
}

template <class Buffers, class Handler>
void TcpStream::async_read_some(const Buffers& buffers, Handler&& handler) {
  const auto first = asio::buffer_sequence_begin(buffers);
  const asio::mutable_buffer buffer =
      first == asio::buffer_sequence_end(buffers) ? asio::mutable_buffer() : asio::mutable_buffer(*first);
  error_code ec;
  std::size_t bytes = 0;
  if (buffer.size() == 0 || (!drained_ && read_now(buffer, ec, bytes))) {
    loop_.ready.push(beast::bind_front_handler(std::forward<Handler>(handler), ec, bytes));
    return;
  }
  socket_.async_wait(Socket::wait_read,
                     ReadOp<std::decay_t<Handler>>{this, buffer, std::forward<Handler>(handler)});
}

template <class Handler>
void TcpStream::ReadOp<Handler>::operator()(error_code ec) {
  std::size_t bytes = 0;
  if (!ec && !stream->read_now(buffer, ec, bytes)) {
    // Woken for nothing.
    TcpStream& again = *stream;
    again.socket_.async_wait(Socket::wait_read, std::move(*this));
    return;
  }
  // Moved out, so that what the handler starts may reuse the memory of this operation.
  Handler local(std::move(handler));
  local(ec, bytes);
}

}  // namespace mdp::net

// The read operation passes on the executor, allocator and cancellation slot of the handler inside.
template <template <typename, typename> class Associator, typename Handler, typename DefaultCandidate>
struct boost::asio::associator<Associator, mdp::net::TcpStream::ReadOp<Handler>, DefaultCandidate>
    : Associator<Handler, DefaultCandidate> {
  static auto get(const mdp::net::TcpStream::ReadOp<Handler>& op) noexcept {
    return Associator<Handler, DefaultCandidate>::get(op.handler);
  }
  static auto get(const mdp::net::TcpStream::ReadOp<Handler>& op,
                  const DefaultCandidate& candidate) noexcept {
    return Associator<Handler, DefaultCandidate>::get(op.handler, candidate);
  }
};
