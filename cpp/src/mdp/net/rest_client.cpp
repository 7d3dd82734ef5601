#include "mdp/net/rest_client.hpp"

#include "mdp/net/boost_config.hpp"
//
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "mdp/core/error.hpp"
#include "mdp/core/raw_message.hpp"
#include "mdp/core/text.hpp"
#include "mdp/net/dialer.hpp"
#include "mdp/net/inflater.hpp"
#include "mdp/net/retry_after.hpp"
#include "mdp/net/transport.hpp"

namespace mdp::net {

namespace http = beast::http;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string_view RestResponse::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

std::int64_t RestResponse::retry_after_s() const noexcept {
  return net::retry_after_s(header("retry-after"), header("date"), recv_ts_ns / 1'000'000'000);
}

namespace {

struct Request {
  core::RestRequest asked;
  RestClient::Callback callback;
  Clock::time_point deadline;
  milliseconds timeout{0};
  bool retried = false;

  // "GET /depth", for errors.
  std::string words() const { return std::string(core::to_string(asked.method)) + ' ' + asked.target; }
};

RestResponse failure(std::string step, std::string error) {
  RestResponse response;
  response.failed_step = std::move(step);
  response.error = std::move(error);
  response.padded_body.assign(core::kFramePadding, '\0');
  return response;
}

std::string lower(beast::string_view text) {
  std::string out(text.data(), text.size());
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// All Content-Encoding headers in one line.
std::string codings_of(const HttpHeaders& headers) {
  std::string codings;
  for (const auto& [name, value] : headers) {
    if (name != "content-encoding") continue;
    if (!codings.empty()) codings += ", ";
    codings += value;
  }
  return codings;
}

// Unpacks `body` in place. What is wrong with it, or nothing; `body` is then of no use.
std::string unpack(std::string& body, const std::string& codings, std::size_t max_bytes) {
  const Coding coding = coding_of(codings);
  if (coding == Coding::Identity || body.empty()) return {};
  const std::string named = "Content-Encoding " + core::quoted(codings);
  if (coding == Coding::Unknown) return named + " was not asked for and cannot be read";
  Inflater inflater(coding == Coding::Gzip ? Inflater::Format::Gzip : Inflater::Format::Deflate);
  std::string plain;
  const InflateStatus status = inflater.inflate(body, max_bytes, plain);
  if (status == InflateStatus::Ok) {
    body = std::move(plain);
    return {};
  }
  std::string problem = named + ", " + std::to_string(body.size()) + " bytes: " + to_string(status);
  if (status == InflateStatus::TooLong) {
    problem += ", longer than max_body_bytes, which is " + std::to_string(max_bytes);
  }
  return problem;
}

// A line end in a header or target would let its text become further headers.
bool has_line_end(std::string_view text) noexcept {
  return text.find_first_of("\r\n") != std::string_view::npos;
}

}  // namespace

// One connection, serving one request at a time.
struct RestConnection : std::enable_shared_from_this<RestConnection> {
  RestConnection(RestClient::Impl& client);

  void serve(Request request);
  void shut() noexcept;
  bool busy() const noexcept { return request_.has_value(); }
  // Idle, open, and the server is not known to be about to close it.
  bool reusable(Clock::time_point now) const noexcept;

 private:
  void write();
  void read_header();
  void read_body();
  void on_timeout();
  void complete();
  void watch_idle(const RestClient::Impl& client);
  void fail_too_long();
  void fail(std::string step, const std::string& what);
  std::string in_words(std::string_view step, std::string_view what) const;
  // Before any byte of the answer: a connection that served before was most likely closed meanwhile.
  void fail_or_retry(std::string step, const error_code& ec);
  void answer(RestResponse response, bool keep);

  std::weak_ptr<RestClient::Impl> client_;
  core::Counter bytes_;
  core::Counter reads_;
  Traffic traffic_;
  Transport transport_;
  std::shared_ptr<Dialer> dialer_;
  asio::steady_timer timer_;

  std::optional<Request> request_;
  std::string step_ = "connect";
  http::request<http::string_body> message_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  bool open_ = false;
  bool alive_ = true;
  std::size_t served_ = 0;
  Clock::time_point idle_since_{};
};

struct RestClient::Impl : std::enable_shared_from_this<Impl> {
  Impl(IoLoop& io_loop, std::string_view base_url, RestOptions rest_options)
      : loop(io_loop),
        options(std::move(rest_options)),
        url(checked_endpoint("rest_url", base_url)),
        tls(make_tls_context(url, options.tls)) {
    if (options.max_connections == 0) throw ConfigError("rest: max_connections must be at least 1, found 0");
    dial.url = url;
    dial.tls = options.tls;
    dial.proxy = checked_proxy(options.proxy);
  }

  void submit(Request request);
  void pump();
  void finished(const std::shared_ptr<RestConnection>& connection);
  void watch_waiting();
  void expire_waiting();

  IoLoop& loop;
  const RestOptions options;
  const Url url;
  std::optional<asio::ssl::context> tls;
  DialOptions dial;  // its time-outs are set per request
  std::deque<Request> waiting;
  std::vector<std::shared_ptr<RestConnection>> connections;
  std::optional<asio::steady_timer> waiting_timer;
};

// ---------------------------------------------------------------- RestConnection

RestConnection::RestConnection(RestClient::Impl& client)
    : client_(client.weak_from_this()),
      traffic_{bytes_, reads_},
      transport_(client.loop.impl(), traffic_, client.tls ? &*client.tls : nullptr),
      timer_(client.loop.impl().io) {}

bool RestConnection::reusable(Clock::time_point now) const noexcept {
  const auto client = client_.lock();
  return client && alive_ && open_ && !busy() && now - idle_since_ < client->options.keep_alive;
}

void RestConnection::serve(Request request) {
  const auto client = client_.lock();
  request_.emplace(std::move(request));
  message_ = {};
  message_.version(11);
  const core::RestRequest& asked = request_->asked;
  message_.method(asked.method == core::RestMethod::Post ? http::verb::post : http::verb::get);
  message_.target(asked.target);
  message_.set(http::field::host, client->url.host_header());
  message_.set(http::field::user_agent, client->options.user_agent);
  message_.set(http::field::accept, "application/json");
  message_.set(http::field::accept_encoding, "identity");
  if (asked.method == core::RestMethod::Post) {
    message_.set(http::field::content_type, "application/json");
    message_.body() = asked.body;
    message_.prepare_payload();
  }
  for (const auto& [name, value] : asked.headers) message_.set(name, value);
  timer_.expires_at(request_->deadline);
  timer_.async_wait([self = shared_from_this(), served = served_](error_code ec) {
    if (!ec && self->alive_ && self->busy() && served == self->served_) self->on_timeout();
  });
  if (open_) return write();
  step_ = "connect";
  DialOptions dial = client->dial;
  // The request's own deadline is the only clock; no step may end earlier.
  dial.resolve_timeout = dial.connect_timeout = dial.proxy_timeout = dial.tls_timeout =
      request_->timeout + milliseconds(1'000);
  dialer_ = std::make_shared<Dialer>(client->loop.impl(), dial, transport_);
  dialer_->start(shared_from_this(), [self = shared_from_this()](DialResult result) {
    if (!self->alive_) return;
    if (result.ok) {
      self->open_ = true;
      return self->write();
    }
    self->fail(std::string(to_string(result.step)), result.detail);
  });
}

void RestConnection::write() {
  step_ = "write";
  http::async_write(transport_, message_, [self = shared_from_this()](error_code ec, std::size_t) {
    if (!self->alive_) return;
    if (ec) return self->fail_or_retry("write", ec);
    self->read_header();
  });
}

void RestConnection::read_header() {
  const auto client = client_.lock();
  if (!client) return;
  step_ = "headers";
  parser_.emplace();
  parser_->body_limit(client->options.max_body_bytes);
  http::async_read_header(transport_, buffer_, *parser_,
                          [self = shared_from_this()](error_code ec, std::size_t bytes) {
                            if (!self->alive_) return;
                            if (ec && bytes == 0) return self->fail_or_retry("headers", ec);
                            if (ec == http::error::body_limit) return self->fail_too_long();
                            if (ec) return self->fail("headers", describe(ec));
                            self->read_body();
                          });
}

void RestConnection::read_body() {
  step_ = "body";
  http::async_read(transport_, buffer_, *parser_, [self = shared_from_this()](error_code ec, std::size_t) {
    if (!self->alive_) return;
    if (ec == http::error::partial_message || ec == asio::ssl::error::stream_truncated) {
      const std::string got = std::to_string(self->parser_->get().body().size()) + " bytes";
      return self->fail("body", "the connection ended after " + got + " of the body: truncated");
    }
    if (ec == http::error::body_limit) return self->fail_too_long();
    if (ec) return self->fail("body", describe(ec));
    self->complete();
  });
}

void RestConnection::fail_too_long() {
  const auto client = client_.lock();
  const std::size_t limit = client ? client->options.max_body_bytes : 0;
  fail("body", "longer than max_body_bytes, which is " + std::to_string(limit));
}

void RestConnection::complete() {
  const auto client = client_.lock();
  if (!client) return;
  auto message = parser_->release();
  RestResponse response;
  response.status = static_cast<int>(message.result_int());
  response.reason = message.reason();
  for (const auto& field : message) {
    response.headers.emplace_back(lower(field.name_string()), std::string(field.value()));
  }
  response.recv_ts_ns = traffic_.last_read_ns;
  std::string& body = message.body();
  const std::string codings = codings_of(response.headers);
  if (const std::string problem = unpack(body, codings, client->options.max_body_bytes); !problem.empty()) {
    body.clear();
    response.failed_step = "body";
    response.error = in_words("body", "HTTP " + std::to_string(response.status) + " with " + problem);
  }
  response.padded_body = std::move(body);
  response.body_bytes = response.padded_body.size();
  response.padded_body.append(core::kFramePadding, '\0');
  answer(std::move(response), message.keep_alive());
}

void RestConnection::on_timeout() {
  const std::string what = "no answer within " + std::to_string(request_->timeout.count()) + " ms";
  if (!dialer_ || open_) return fail(step_, what);
  dialer_->cancel();
  fail(std::string(to_string(dialer_->step())), dialer_->step_text() + ": " + what);
}

// What failed in which step of which request, and where.
std::string RestConnection::in_words(std::string_view step, std::string_view what) const {
  const auto client = client_.lock();
  return std::string(step) + " of " + request_->words() + " at " +
         (client ? client->url.authority() : std::string()) + ": " + std::string(what);
}

void RestConnection::fail(std::string step, const std::string& what) {
  // The Dialer's texts name step and host already.
  const bool dialed =
      step == "resolve" || step == "proxy" || step == "tls" || (step == "connect" && what.starts_with("TCP"));
  std::string text = dialed ? what : in_words(step, what);
  answer(failure(std::move(step), std::move(text)), false);
}

void RestConnection::fail_or_retry(std::string step, const error_code& ec) {
  const auto client = client_.lock();
  if (client && served_ > 0 && !request_->retried) {
    Request again = std::move(*request_);
    request_.reset();
    again.retried = true;
    shut();
    client->waiting.push_front(std::move(again));
    return client->finished(shared_from_this());
  }
  fail(std::move(step), describe(ec));
}

void RestConnection::answer(RestResponse response, bool keep) {
  const auto self = shared_from_this();
  const auto client = client_.lock();
  const RestClient::Callback callback = std::move(request_->callback);
  request_.reset();
  parser_.reset();
  timer_.cancel();
  ++served_;
  idle_since_ = Clock::now();
  if (!keep) shut();
  if (!client) return;
  if (keep) watch_idle(*client);  // before another request may take the timer
  client->finished(self);
  callback(std::move(response));
}

// What will not be reused is not kept open either.
void RestConnection::watch_idle(const RestClient::Impl& client) {
  timer_.expires_after(client.options.keep_alive);
  timer_.async_wait([weak = weak_from_this()](error_code ec) {
    const auto self = weak.lock();
    const auto owner = self && !ec ? self->client_.lock() : nullptr;
    if (owner) owner->pump();
  });
}

void RestConnection::shut() noexcept {
  alive_ = false;
  open_ = false;
  try {
    timer_.cancel();
    if (dialer_) dialer_->cancel();
  } catch (...) {  // out of memory inside Asio: the handlers find alive_ false anyway
  }
  transport_.close();
}

// ---------------------------------------------------------------- RestClient::Impl

void RestClient::Impl::submit(Request request) {
  if (waiting.size() >= options.max_waiting) {
    request.callback(failure("queue", request.words() + " at " + url.authority() + ": " +
                                          std::to_string(waiting.size()) +
                                          " requests wait already (max_waiting)"));
    return;
  }
  waiting.push_back(std::move(request));
  pump();
}

// Closes connections that were idle too long, and hands waiting requests to idle ones, then to new ones.
void RestClient::Impl::pump() {
  const auto now = Clock::now();
  std::erase_if(connections, [&](const auto& connection) {
    if (connection->busy() || connection->reusable(now)) return false;
    connection->shut();
    return true;
  });
  while (!waiting.empty()) {
    std::shared_ptr<RestConnection> free;
    for (const auto& connection : connections) {
      // A request that met a stale connection gets a new one: the others may be as old.
      if (connection->reusable(now) && !waiting.front().retried) free = connection;
    }
    if (!free) {
      if (connections.size() >= options.max_connections) {
        const auto idle =
            std::find_if(connections.begin(), connections.end(), [&](const auto& c) { return !c->busy(); });
        if (idle == connections.end()) break;
        (*idle)->shut();
        connections.erase(idle);
      }
      free = std::make_shared<RestConnection>(*this);
      connections.push_back(free);
    }
    Request request = std::move(waiting.front());
    waiting.pop_front();
    free->serve(std::move(request));
  }
  watch_waiting();
}

void RestClient::Impl::finished(const std::shared_ptr<RestConnection>& connection) {
  if (!connection->reusable(Clock::now())) std::erase(connections, connection);
  pump();
}

// Requests in the queue run out of time too.
void RestClient::Impl::watch_waiting() {
  if (waiting.empty()) return waiting_timer.reset();
  const auto first = std::min_element(waiting.begin(), waiting.end(), [](const Request& a, const Request& b) {
    return a.deadline < b.deadline;
  });
  waiting_timer.emplace(loop.impl().io, first->deadline);
  waiting_timer->async_wait([weak = weak_from_this()](error_code ec) {
    if (const auto self = weak.lock(); self && !ec) self->expire_waiting();
  });
}

void RestClient::Impl::expire_waiting() {
  const auto now = Clock::now();
  std::vector<Request> expired;
  for (auto it = waiting.begin(); it != waiting.end();) {
    if (it->deadline > now) {
      ++it;
      continue;
    }
    expired.push_back(std::move(*it));
    it = waiting.erase(it);
  }
  watch_waiting();
  for (const Request& request : expired) {
    request.callback(
        failure("queue", request.words() + " at " + url.authority() + ": no free connection within " +
                             std::to_string(request.timeout.count()) + " ms (max_connections is " +
                             std::to_string(options.max_connections) + ")"));
  }
}

// ---------------------------------------------------------------- RestClient

RestClient::RestClient(IoLoop& loop, std::string_view base_url, RestOptions options)
    : impl_(std::make_shared<Impl>(loop, base_url, std::move(options))) {}

RestClient::~RestClient() {
  MDP_ASSERT(!impl_->loop.running() || impl_->loop.in_loop_thread());
  for (const auto& connection : impl_->connections) connection->shut();
  impl_->connections.clear();
  impl_->waiting.clear();
  impl_->waiting_timer.reset();
}

void RestClient::send(core::RestRequest asked, milliseconds timeout, Callback callback) {
  Request request{std::move(asked), std::move(callback), Clock::now() + timeout, timeout, false};
  impl_->loop.post([weak = std::weak_ptr<Impl>(impl_), request = std::move(request)]() mutable {
    const auto impl = weak.lock();
    if (!impl) return;
    const core::RestRequest& checked = request.asked;
    bool valid = checked.target.starts_with('/') && !has_line_end(checked.target);
    for (const auto& [name, value] : checked.headers)
      valid = valid && !has_line_end(name) && !has_line_end(value);
    if (!valid) {
      request.callback(failure("queue", std::string(core::to_string(checked.method)) + " '" + checked.target +
                                            "': the target must start with '/', and neither it " +
                                            "nor a header may hold a line end"));
      return;
    }
    impl->submit(std::move(request));
  });
}

}  // namespace mdp::net
