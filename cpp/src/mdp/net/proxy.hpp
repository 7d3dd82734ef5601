// Proxy: an HTTP proxy that tunnels a connection by CONNECT (RFC 9110 section 9.3.6). Set-up only.
//
// TLS runs end to end through the tunnel, so the proxy sees the venue's name and nothing else. The name is
// resolved by the proxy. Its own connection is plain: user name and password cross it as they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mdp/core/expected.hpp"
#include "mdp/net/url.hpp"

namespace mdp::net {

struct Proxy {
  Url url;                    // http://host:port
  std::string authorization;  // value of Proxy-Authorization; empty without a user name. Never logged
};

// http://[user:password@]host:port, user and password percent-encoded; empty: no proxy. The error never shows
// user name or password.
core::Expected<std::optional<Proxy>, std::string> parse_proxy(std::string_view text);

// The same for those who set up a connection. Throws ConfigError, naming the key `proxy`.
std::optional<Proxy> checked_proxy(std::string_view text);

// The request that opens a tunnel to `target`.
std::string connect_request(const Proxy& proxy, const Url& target);

// What a proxy's answer (up to its empty line) says against the tunnel; empty: it is open.
std::string proxy_refusal(const Proxy& proxy, std::string_view answer);

// A longer answer is none.
constexpr std::size_t kMaxProxyAnswerBytes = 8 * 1024;

}  // namespace mdp::net
