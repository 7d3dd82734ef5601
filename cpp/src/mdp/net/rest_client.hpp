// RestClient: HTTPS GET and POST with keep-alive, for snapshots and metadata. It has an IoLoop and a thread
// of its own: REST never rides a lane. Called from any thread; callbacks run on its loop thread.
//
// It asks for bodies that are not compressed, and unpacks gzip and deflate where a server sends them all the
// same. A redirect is an answer like any other: it is not followed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mdp/core/rest_request.hpp"
#include "mdp/net/io_loop.hpp"
#include "mdp/net/tls_options.hpp"

namespace mdp::net {

using HttpHeaders = core::RestHeaders;

struct RestOptions {
  TlsOptions tls;
  std::string proxy;                // parse_proxy(); empty: none
  std::size_t max_connections = 4;  // open at a time; further requests wait in order
  std::size_t max_waiting = 4096;   // a request beyond is answered with an error at once
  std::size_t max_body_bytes =
      64 * 1024 * 1024;                          // a longer body, unpacked or not, is an error of step "body"
  std::chrono::milliseconds keep_alive{30'000};  // an idle connection older than this is closed
  std::string user_agent = "mdp";
};

struct RestResponse {
  // HTTP status; 0: no answer, see error. Beside an error where the body alone cannot be unpacked.
  int status = 0;
  std::string reason;   // the words beside the status, as received: "Forbidden"
  HttpHeaders headers;  // as received; names in lower case
  std::string error;    // empty, or what failed, naming step, host and port; a 4xx is an answer, not an error
  // resolve, connect, proxy, tls, write, headers, body or queue; empty without error
  std::string failed_step;
  std::int64_t recv_ts_ns = 0;  // when the socket handed over the last bytes of the answer

  // core::kFramePadding readable zero bytes follow it. Valid as long as this object.
  std::string_view body() const noexcept { return {padded_body.data(), body_bytes}; }
  // The value of the first header of this name (lower case), or empty.
  std::string_view header(std::string_view name) const noexcept;
  // Seconds to stay away, as net::retry_after_s() reads them from the headers; -1: not asked to.
  std::int64_t retry_after_s() const noexcept;
  bool ok() const noexcept { return error.empty() && status >= 200 && status < 300; }

  std::string padded_body;
  std::size_t body_bytes = 0;
};

class RestClient {
 public:
  using Callback = std::function<void(RestResponse)>;

  // `base_url` is https://host[:port], or http:// for a loopback host. Throws ConfigError for a bad URL or
  // proxy, a CA file that cannot be read, or verification switched off for a host that is not loopback.
  // `loop` outlives the client.
  RestClient(IoLoop& loop, std::string_view base_url, RestOptions options = {});
  // On the loop thread, or when the loop does not run (any more). Callbacks not yet called are dropped.
  ~RestClient();
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  // Any thread. `timeout` covers everything from now on, waiting for a connection included. `callback` is
  // called exactly once, on the loop thread, unless the client is destroyed before. A request that met a
  // kept-alive connection the server had closed is sent once more on a new one, a POST too: it asks, it
  // changes nothing.
  void send(core::RestRequest request, std::chrono::milliseconds timeout, Callback callback);
  // GET `target`, which is path and query.
  void get(std::string target, HttpHeaders headers, std::chrono::milliseconds timeout, Callback callback) {
    core::RestRequest request;
    request.target = std::move(target);
    request.headers = std::move(headers);
    send(std::move(request), timeout, std::move(callback));
  }

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace mdp::net
