// Words for an HTTP answer that is not the one asked for: a refusal of the venue, the page of a firewall in
// front of it, a redirect. For an error or a log line of a REST request or of a WebSocket upgrade.
#pragma once

#include <string>
#include <string_view>

namespace mdp::net {

// As received; empty where the answer has none.
struct HttpAnswer {
  int status = 0;
  std::string_view reason;    // "Forbidden"
  std::string_view server;    // of the header Server
  std::string_view location;  // of the header Location
  std::string_view page;      // the body
};

// Status and reason, who said so, where a redirect leads, and the first words of the page:
//   HTTP 403 Forbidden (server "cloudflare"): Access denied
//   HTTP 302 Found (location "https://x.test/login"): redirects are not followed; if the venue has moved, set rest_url
// `venue_words`: what the page says as the venue's own error, in place of its first words; empty: it is none.
// `key`: of the configuration, whose address this is.
std::string describe_refusal(const HttpAnswer& answer, std::string_view venue_words, std::string_view key);

}  // namespace mdp::net
