// Url: scheme://host[:port][/path], the little of RFC 3986 that endpoints in a config need. Set-up only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mdp/core/expected.hpp"

namespace mdp::net {

struct Url {
  std::string scheme;      // lower case: "wss", "ws", "https" or "http"
  std::string host;        // lower case; an IPv6 literal without its brackets
  std::uint16_t port = 0;  // the scheme's default (443 or 80) where none is given
  std::string path;        // with its query, starting with '/'; empty where none is given

  bool secure() const noexcept { return scheme == "wss" || scheme == "https"; }
  // "host:port" for messages, an IPv6 literal in brackets.
  std::string authority() const;
  // For the Host header: the port is left out where it is the scheme's default.
  std::string host_header() const;
};

// The error says what was found and what is allowed, without a line or key: the caller knows those. User
// names, fragments, blanks and control characters are refused.
core::Expected<Url, std::string> parse_url(std::string_view text);

// The address of a venue, as it stands in a configuration under `key`: "ws_url" takes wss (ws for loopback
// hosts), "rest_url" https (http for loopback hosts), both without a path. Throws ConfigError, naming the
// key.
Url checked_endpoint(std::string_view key, std::string_view text);

// The same for a URL to connect to that a venue has given, `key` in words: wss (ws for loopback hosts), with
// a path.
Url checked_stream_url(std::string_view key, std::string_view text);

// A URL as messages show it: all before the last '@' (but the scheme) is "***", for user names and passwords
// are for nobody to read. For any text, above all one that parse_url() refuses.
std::string without_user_info(std::string_view text);

// True for localhost (and names below it), 127.0.0.0/8 and ::1. `host` as in Url.
bool is_loopback_host(std::string_view host) noexcept;

}  // namespace mdp::net
