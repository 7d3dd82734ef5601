// LineRecorder: a LineHandler, its IoLoop on a thread, and the connector, for tests. Records all it is told.
#pragma once

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mdp/net/exchange_connector.hpp"
#include "mdp/net/rest_client.hpp"
#include "net/fake_server.hpp"

namespace mdp::net::test {

struct RecordedFrame {
  std::string payload;
  bool binary;
  bool padding_zero;
  std::int64_t recv_ts_ns;
  core::LineId line_id;
  core::ConnectionId connection_id;
};

struct RecordedState {
  shm::LineState state;
  LineReason reason;
  std::string detail;
};

// Quick to fail and to retry; the CA of the tests; buffers released on the loop thread.
inline ConnectorOptions quick_options(const std::string& ws_url) {
  ConnectorOptions options;
  options.ws_url = ws_url;
  options.ws_path = "/stream";
  options.tls.ca_file = Certificates::shared().ca_file();
  options.backoff.initial_ms = std::chrono::milliseconds(1);
  options.backoff.max_ms = std::chrono::milliseconds(4);
  options.backoff.seed = 7;
  options.pool.frame_count = 16;
  options.pool.release_from = ReleaseFrom::SameThread;
  return options;
}

// Blocks for the answer to one request.
inline RestResponse answer_to(RestClient& client, std::string target,
                              std::chrono::milliseconds timeout = std::chrono::minutes(1),
                              HttpHeaders headers = {}) {
  std::promise<RestResponse> answered;
  client.get(std::move(target), std::move(headers), timeout,
             [&](RestResponse response) { answered.set_value(std::move(response)); });
  return answered.get_future().get();
}

class LineRecorder : public LineHandler {
 public:
  explicit LineRecorder(ConnectorOptions options)
      : release_at_once(options.pool.release_from == ReleaseFrom::SameThread),
        connector(std::make_unique<ExchangeConnector>(loop, std::move(options), *this)) {}

  ~LineRecorder() override {
    loop.stop();
    if (thread_.joinable()) thread_.join();
  }

  void start(queue::IdleMode mode = queue::IdleMode::Park) {
    connector->connect();
    thread_ = std::thread([this, mode] { connector->run(mode); });
  }
  // disconnect() and wait until it is done; false if it never is.
  bool stop() {
    connector->disconnect();
    const bool done = eventually([this] { return connector->stopped(); });
    loop.stop();
    if (thread_.joinable()) thread_.join();
    return done;
  }

  void on_frame(const core::RawMessage& frame) noexcept override {
    bool padding_zero = true;
    for (std::size_t i = 0; i < core::kFramePadding; ++i)
      padding_zero = padding_zero && frame.data[frame.size + i] == 0;
    const std::lock_guard lock(mutex_);
    frames_.push_back({std::string(frame.text()), frame.kind == core::RawKind::Binary, padding_zero,
                       frame.recv_ts_ns, frame.line_id, frame.connection_id});
    if (release_at_once) {
      connector->release(frame);
    } else {
      held_.push_back(frame);
    }
  }
  void on_line_state(shm::LineState state, LineReason reason, std::string_view detail) noexcept override {
    const std::lock_guard lock(mutex_);
    states_.push_back({state, reason, std::string(detail)});
  }
  Requests on_up(core::ConnectionId) override { return {subscriptions, first_request_id}; }

  std::size_t frame_count() const {
    const std::lock_guard lock(mutex_);
    return frames_.size();
  }
  std::vector<RecordedFrame> frames() const {
    const std::lock_guard lock(mutex_);
    return frames_;
  }
  std::vector<RecordedState> states() const {
    const std::lock_guard lock(mutex_);
    return states_;
  }
  // The first Down of this reason, or one with an empty detail.
  RecordedState find_down(LineReason reason) const {
    for (const auto& state : states()) {
      if (state.state == shm::LineState::Down && state.reason == reason) return state;
    }
    return {shm::LineState::Down, reason, {}};
  }
  bool went_down(LineReason reason) const {
    const auto all = states();
    return std::any_of(all.begin(), all.end(), [reason](const RecordedState& state) {
      return state.state == shm::LineState::Down && state.reason == reason;
    });
  }
  std::vector<core::RawMessage> take_held() {
    const std::lock_guard lock(mutex_);
    return std::exchange(held_, {});
  }

  bool release_at_once;
  std::vector<std::string> subscriptions;
  std::int64_t first_request_id = 0;  // of the subscriptions; 0: answers are not awaited
  IoLoop loop;
  std::unique_ptr<ExchangeConnector> connector;

 private:
  mutable std::mutex mutex_;
  std::vector<RecordedFrame> frames_;
  std::vector<RecordedState> states_;
  std::vector<core::RawMessage> held_;
  std::thread thread_;
};

}  // namespace mdp::net::test
