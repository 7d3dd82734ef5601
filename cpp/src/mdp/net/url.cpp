#include "mdp/net/url.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "mdp/core/error.hpp"

namespace mdp::net {
namespace {

using Failure = core::Unexpected<std::string>;

char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = to_lower(c);
  return lower;
}

bool is_alnum(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::uint16_t default_port(std::string_view scheme) noexcept {
  return scheme == "wss" || scheme == "https" ? 443 : 80;
}

// Letters, digits, '-', '.', '_' (some hosts inside companies have it); no empty label.
bool valid_name(std::string_view host) noexcept {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  for (std::size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    if (!is_alnum(c) && c != '-' && c != '.' && c != '_') return false;
    if (c == '.' && i + 1 < host.size() && host[i + 1] == '.') return false;
  }
  return true;
}

// Only the alphabet: whether it is an address is decided when it is used.
bool valid_ipv6(std::string_view host) noexcept {
  return host.find(':') != std::string_view::npos && std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                  c == '.';
         });
}

}  // namespace

std::string Url::authority() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string Url::host_header() const {
  std::string text = authority();
  if (port == default_port(scheme)) text.resize(text.rfind(':'));
  return text;
}

core::Expected<Url, std::string> parse_url(std::string_view text) {
  const auto fail = [text](std::string_view what) {
    return Failure{"URL '" + without_user_info(text) + "': " + std::string(what)};
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7F) {
      return fail("blanks, control and non-ASCII characters are not allowed (percent-encode them)");
    }
  }

  Url url;
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return fail("expected scheme://host[:port][/path]");
  url.scheme = to_lower(text.substr(0, scheme_end));
  if (url.scheme != "wss" && url.scheme != "ws" && url.scheme != "https" && url.scheme != "http") {
    return fail("scheme must be wss, ws, https or http");
  }

  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find('#') != std::string_view::npos) return fail("a fragment (#...) is not allowed");
  const std::size_t path_start = rest.find_first_of("/?");
  if (path_start != std::string_view::npos) {
    url.path = rest.substr(path_start);
    if (url.path.front() == '?') url.path.insert(url.path.begin(), '/');
    rest = rest.substr(0, path_start);
  }
  if (rest.find('@') != std::string_view::npos) return fail("a user name or password is not allowed");

  std::string_view port_text;
  bool has_port = false;
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) return fail("missing ']' after the IPv6 address");
    const std::string_view host = rest.substr(1, close - 1);
    if (!valid_ipv6(host)) return fail("what stands in [] is no IPv6 address");
    url.host = to_lower(host);
    rest.remove_prefix(close + 1);
    if (!rest.empty()) {
      if (rest.front() != ':') return fail("expected ':port' or nothing after ']'");
      has_port = true;
      port_text = rest.substr(1);
    }
  } else {
    const std::size_t colon = rest.find(':');
    if (colon != rest.rfind(':')) return fail("an IPv6 address goes in []");
    if (colon != std::string_view::npos) {
      has_port = true;
      port_text = rest.substr(colon + 1);
      rest = rest.substr(0, colon);
    }
    if (rest.empty()) return fail("the host is missing");
    if (!valid_name(rest))
      return fail("the host may hold letters, digits, '-', '_' and '.' (IPv6 goes in [])");
    url.host = to_lower(rest);
  }

  url.port = default_port(url.scheme);
  if (has_port) {
    unsigned value = 0;
    const char* end = port_text.data() + port_text.size();
    const auto [stop, error] = std::from_chars(port_text.data(), end, value);
    if (port_text.empty() || error != std::errc{} || stop != end || value == 0 || value > 65535) {
      return fail("the port must be 1 to 65535");
    }
    url.port = static_cast<std::uint16_t>(value);
  }
  return url;
}

namespace {

Url checked_url(std::string_view key, std::string_view text, bool is_stream, bool may_have_path) {
  const auto fail = [&](const std::string& what) {
    throw ConfigError(std::string(key) + ": URL '" + without_user_info(text) + "': " + what);
  };
  auto url = parse_url(text);
  if (!url) throw ConfigError(std::string(key) + ": " + url.error());
  const std::string_view secure = is_stream ? "wss" : "https";
  const std::string_view plain = is_stream ? "ws" : "http";
  if (url->scheme != secure && url->scheme != plain) {
    fail(std::string("scheme must be ")
             .append(secure)
             .append(" (or ")
             .append(plain)
             .append(" for a loopback host)"));
  }
  if (!url->secure() && !is_loopback_host(url->host)) {
    fail(std::string("connections without TLS are allowed to loopback hosts only; use ").append(secure));
  }
  if (!may_have_path && !url->path.empty() && url->path != "/") {
    fail("found a path, which is not part of the address");
  }
  return *url;
}

}  // namespace

Url checked_endpoint(std::string_view key, std::string_view text) {
  return checked_url(key, text, key == "ws_url", false);
}

Url checked_stream_url(std::string_view key, std::string_view text) {
  Url url = checked_url(key, text, true, true);
  if (url.path.empty()) url.path.push_back('/');
  return url;
}

std::string without_user_info(std::string_view text) {
  // The last '@' of all: a password that was not percent-encoded may hold any character, '/' and blanks too.
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return std::string(text);
  const std::size_t scheme_end = text.find("://");
  const std::size_t begin = scheme_end < at ? scheme_end + 3 : 0;
  return std::string(text.substr(0, begin)).append("***").append(text.substr(at));
}

bool is_loopback_host(std::string_view host) noexcept {
  if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
  // A dotted quad, not a name such as 127.example.com.
  unsigned octets = 0;
  const char* at = host.data();
  const char* end = host.data() + host.size();
  for (; octets < 4; ++octets) {
    unsigned value = 0;
    const auto [stop, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value > 255 || (octets == 0 && value != 127)) return false;
    at = stop;
    if (octets < 3) {
      if (at == end || *at != '.') return false;
      ++at;
    }
  }
  return at == end;
}

}  // namespace mdp::net
