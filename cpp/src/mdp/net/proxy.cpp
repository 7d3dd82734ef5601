#include "mdp/net/proxy.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "mdp/core/error.hpp"
#include "mdp/core/text.hpp"

namespace mdp::net {
namespace {

using Failure = core::Unexpected<std::string>;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nullopt: a '%' without two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string base64(std::string_view text) {
  std::vector<unsigned char> encoded(text.size() / 3 * 4 + 5);
  const int bytes =
      EVP_EncodeBlock(encoded.data(), reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
  return {encoded.begin(), encoded.begin() + bytes};
}

constexpr std::size_t kShownOfAnswer = 120;

}  // namespace

core::Expected<std::optional<Proxy>, std::string> parse_proxy(std::string_view text) {
  if (text.empty()) return std::optional<Proxy>();
  constexpr std::string_view kScheme = "http://";
  if (!text.starts_with(kScheme)) return Failure{"must be http://[user:password@]host:port"};
  std::string_view rest = text.substr(kScheme.size());
  Proxy proxy;
  // The last '@': one inside a password that was not encoded must not end up in a host name that is shown.
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view user_info = rest.substr(0, at);
    const std::size_t colon = user_info.find(':');
    const auto user = percent_decoded(user_info.substr(0, colon));
    const auto password =
        percent_decoded(colon == std::string_view::npos ? std::string_view() : user_info.substr(colon + 1));
    // RFC 7617: a user name can't hold a colon.
    if (!user || !password || user->empty() || user->find(':') != std::string::npos ||
        user_info.find_first_of("@/?#") != std::string_view::npos) {
      return Failure{"what stands before '@' must be user:password, percent-encoded"};
    }
    proxy.authorization = "Basic " + base64(*user + ":" + *password);
    rest.remove_prefix(at + 1);
  }
  auto url = parse_url(std::string(kScheme).append(rest));
  if (!url) return Failure{url.error()};
  if (!url->path.empty() && url->path != "/") return Failure{"a path is not allowed"};
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.back() == ']' || authority.find(':') == std::string_view::npos) {
    return Failure{"the port is missing: must be http://[user:password@]host:port"};
  }
  proxy.url = *url;
  proxy.url.path.clear();
  return std::optional<Proxy>(std::move(proxy));
}

std::optional<Proxy> checked_proxy(std::string_view text) {
  auto proxy = parse_proxy(text);
  if (!proxy) throw ConfigError("proxy: " + proxy.error());
  return *proxy;
}

std::string connect_request(const Proxy& proxy, const Url& target) {
  const std::string authority = target.authority();
  std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.authorization.empty()) request += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  return request + "\r\n";
}

std::string proxy_refusal(const Proxy& proxy, std::string_view answer) {
  // HTTP/1.1 200 Connection established
  const std::string_view line = answer.substr(0, answer.find("\r\n"));
  const auto digit = [&](std::size_t i) { return line.size() > i && line[i] >= '0' && line[i] <= '9'; };
  const bool http = line.starts_with("HTTP/1.") && digit(7) && line.size() >= 12 && line[8] == ' ' &&
                    digit(9) && digit(10) && digit(11) && (line.size() == 12 || line[12] == ' ');
  if (!http) return "the answer is not HTTP: '" + core::printable(line, kShownOfAnswer) + "'";
  const std::string_view status = line.substr(9, 3);
  if (status[0] == '2') return {};
  std::string what = "the proxy refused: '" + core::printable(line, kShownOfAnswer) + "'";
  if (status == "407") {
    what += proxy.authorization.empty() ? ": it asks for a user name and password, and none is configured"
                                        : ": it does not accept the user name and password configured";
  }
  return what;
}

}  // namespace mdp::net
