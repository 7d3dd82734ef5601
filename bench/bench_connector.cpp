// What a frame costs the thread that receives it: ExchangeConnector (reads, frames, stamps, hands over to a
// handler that drops) beside bare Beast clients that read and drop, over TLS on loopback, in one program.
//
// The server is a thread of its own and not counted: the time shown is the CPU time of the client's thread
// from asking for a batch until its last frame, and `cpu_ns_per_frame` the same per frame. The connector
// parks in epoll like the asynchronous client does; the synchronous one blocks in recv() and is the least
// that Beast can cost, since it has no event loop, no time-out and nobody else to serve.
#include "mdp/net/boost_config.hpp"
//
#include <benchmark/benchmark.h>
#include <time.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "mdp/net/exchange_connector.hpp"
#include "net/fake_server.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using mdp::net::test::Connection;
using mdp::net::test::FakeServer;

std::int64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// Sends `frames` frames of `frame_bytes` for each text frame it gets, so many in a write (and a TLS record).
FakeServer::Script batches(std::size_t frame_bytes, std::size_t per_write, std::size_t frames) {
  return [=](Connection& connection) {
    if (!connection.accept_websocket()) return;
    std::string chunk;
    for (std::size_t i = 0; i < per_write; ++i) chunk += Connection::encode(1, std::string(frame_bytes, 'x'));
    while (const auto asked = connection.read_frame()) {
      if (asked->opcode != 1) continue;
      for (std::size_t sent = 0; sent < frames; sent += per_write) {
        if (!connection.write(chunk)) return;
      }
    }
  };
}

// Where the client's thread says that a batch is in.
class Finish {
 public:
  void done(std::int64_t cpu_ns) {
    const std::lock_guard lock(mutex_);
    cpu_ns_ = cpu_ns;
    changed_.notify_one();
  }
  std::int64_t wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return cpu_ns_ >= 0; });
    return std::exchange(cpu_ns_, -1);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t cpu_ns_ = -1;
};

// ---- ours

class ConnectorClient final : public mdp::net::LineHandler {
 public:
  ConnectorClient(const std::string& url, std::size_t frames) : frames_(frames) {
    mdp::net::ConnectorOptions options;
    options.ws_url = url;
    options.tls.ca_file = mdp::net::test::Certificates::shared().ca_file();
    options.pool.release_from = mdp::net::ReleaseFrom::SameThread;
    connector_ = std::make_unique<mdp::net::ExchangeConnector>(loop_, options, *this);
    connector_->connect();
    thread_ = std::thread([this] { loop_.run(mdp::queue::IdleMode::Park); });
    mdp::net::test::eventually([this] { return connector_->counters().ups.get() == 1; });
  }
  ~ConnectorClient() override {
    loop_.stop();
    thread_.join();
  }
  // CPU time of the client's thread for one batch.
  std::int64_t receive() {
    loop_.post([this] { start_ns_ = thread_cpu_ns(); });
    connector_->subscribe(std::vector<std::string>{"go"});
    return finish_.wait();
  }
  std::uint64_t reads() const { return connector_->counters().reads.get(); }

 private:
  void on_frame(const mdp::core::RawMessage& frame) noexcept override {
    connector_->release(frame);
    if (++received_ < frames_) return;
    received_ = 0;
    finish_.done(thread_cpu_ns() - start_ns_);
  }
  void on_line_state(mdp::shm::LineState, mdp::net::LineReason, std::string_view) noexcept override {}
  mdp::net::Requests on_up(mdp::core::ConnectionId) override { return {}; }

  std::size_t frames_;
  std::size_t received_ = 0;
  std::int64_t start_ns_ = 0;
  Finish finish_;
  mdp::net::IoLoop loop_;
  std::unique_ptr<mdp::net::ExchangeConnector> connector_;
  std::thread thread_;
};

// ---- Beast

using BeastStream = websocket::stream<asio::ssl::stream<tcp::socket>>;

void open(BeastStream& ws, std::uint16_t port) {
  beast::get_lowest_layer(ws).connect(tcp::endpoint(asio::ip::make_address("127.0.0.1"), port));
  beast::get_lowest_layer(ws).set_option(tcp::no_delay(true));
  ws.next_layer().handshake(asio::ssl::stream_base::client);
  ws.handshake("localhost", "/");
  ws.text(true);
}

class AsyncBeastClient {
 public:
  AsyncBeastClient(std::uint16_t port, std::size_t frames) : frames_(frames), ws_(io_, tls_) {
    open(ws_, port);
    read();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~AsyncBeastClient() {
    io_.stop();
    thread_.join();
  }
  std::int64_t receive() {
    asio::post(io_, [this] {
      start_ns_ = thread_cpu_ns();
      ws_.async_write(asio::buffer("go", 2), [](beast::error_code, std::size_t) {});
    });
    return finish_.wait();
  }

 private:
  void read() {
    ws_.async_read(buffer_, [this](beast::error_code ec, std::size_t) {
      if (ec) return;
      buffer_.clear();
      if (++received_ == frames_) {
        received_ = 0;
        finish_.done(thread_cpu_ns() - start_ns_);
      }
      read();
    });
  }

  std::size_t frames_;
  std::size_t received_ = 0;
  std::int64_t start_ns_ = 0;
  Finish finish_;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  BeastStream ws_;
  beast::flat_buffer buffer_;
  std::thread thread_;
};

class SyncBeastClient {
 public:
  SyncBeastClient(std::uint16_t port, std::size_t frames) : frames_(frames), ws_(io_, tls_) {
    open(ws_, port);
    thread_ = std::thread([this] { run(); });
  }
  ~SyncBeastClient() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }
  std::int64_t receive() {
    {
      const std::lock_guard lock(mutex_);
      asked_ = true;
      changed_.notify_one();
    }
    return finish_.wait();
  }

 private:
  void run() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return asked_ || stop_; });
        if (stop_) return;
        asked_ = false;
      }
      const std::int64_t start_ns = thread_cpu_ns();
      ws_.write(asio::buffer("go", 2));
      for (std::size_t i = 0; i < frames_; ++i) {
        ws_.read(buffer_);
        buffer_.clear();
      }
      finish_.done(thread_cpu_ns() - start_ns);
    }
  }

  std::size_t frames_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool stop_ = false;
  Finish finish_;
  asio::io_context io_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  BeastStream ws_;
  beast::flat_buffer buffer_;
  std::thread thread_;
};

// ---- the benchmarks: bytes of a frame / frames of a write

template <class Client>
void measure(benchmark::State& state, Client& client, std::size_t frames) {
  client.receive();  // pages, buffers, TCP's window
  std::int64_t cpu_ns = 0;
  for ([[maybe_unused]] auto unused : state) {
    const std::int64_t batch_ns = client.receive();
    cpu_ns += batch_ns;
    state.SetIterationTime(1e-9 * static_cast<double>(batch_ns));
  }
  const double received = static_cast<double>(state.iterations()) * static_cast<double>(frames);
  state.counters["cpu_ns_per_frame"] = static_cast<double>(cpu_ns) / received;
  state.counters["frames_per_cpu_s"] = received / (1e-9 * static_cast<double>(cpu_ns));
}

struct Shape {
  explicit Shape(const benchmark::State& state)
      : frame_bytes(static_cast<std::size_t>(state.range(0))),
        per_write(static_cast<std::size_t>(state.range(1))),
        frames(frame_bytes < 1'000 ? 20'000 : 4'000) {}
  std::size_t frame_bytes;
  std::size_t per_write;
  std::size_t frames;
};

void BM_Connector_TlsFrames(benchmark::State& state) {
  const Shape shape(state);
  FakeServer server(batches(shape.frame_bytes, shape.per_write, shape.frames));
  ConnectorClient client(server.ws_url(), shape.frames);
  const std::uint64_t before = client.reads();
  measure(state, client, shape.frames);
  state.counters["frames_per_read"] = static_cast<double>(state.iterations() + 1) *
                                      static_cast<double>(shape.frames) /
                                      static_cast<double>(client.reads() - before);
}

void BM_BeastAsync_TlsFrames(benchmark::State& state) {
  const Shape shape(state);
  FakeServer server(batches(shape.frame_bytes, shape.per_write, shape.frames));
  AsyncBeastClient client(server.port(), shape.frames);
  measure(state, client, shape.frames);
}

void BM_BeastSync_TlsFrames(benchmark::State& state) {
  const Shape shape(state);
  FakeServer server(batches(shape.frame_bytes, shape.per_write, shape.frames));
  SyncBeastClient client(server.port(), shape.frames);
  measure(state, client, shape.frames);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  for (const int per_write : {1, 10, 100}) benchmark->Args({150, per_write});
  for (const int per_write : {1, 10}) benchmark->Args({2'000, per_write});
  benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(BM_Connector_TlsFrames)->Apply(shapes);
BENCHMARK(BM_BeastAsync_TlsFrames)->Apply(shapes);
BENCHMARK(BM_BeastSync_TlsFrames)->Apply(shapes);

}  // namespace
