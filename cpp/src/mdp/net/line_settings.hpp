// LineSettings: what a configuration says of a connection to a venue and the connector obeys as it stands.
#pragma once

#include <chrono>
#include <string>

#include "mdp/core/settings.hpp"
#include "mdp/net/backoff.hpp"
#include "mdp/net/socket_options.hpp"
#include "mdp/net/tls_options.hpp"

namespace mdp::net {

// How long each step of connecting may take: resolve, connect (an address), proxy, TLS handshake, WebSocket
// upgrade.
inline constexpr std::chrono::milliseconds kStepTimeout{5'000};

struct LineSettings {
  std::string proxy;  // http://[user:password@]host:port (parse_proxy()); empty: none
  SocketOptions socket;
  TlsOptions tls;
  BackoffOptions backoff;
  // No byte from the venue (frame, ping or pong) for half of this: we ping. For all of it: the line is dead.
  std::chrono::milliseconds idle_timeout_ms{60'000};

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(LineSettings, proxy);
    MDP_SETTING(LineSettings, socket);
    MDP_SETTING(LineSettings, tls);
    MDP_SETTING(LineSettings, backoff);
    MDP_SETTING(LineSettings, idle_timeout_ms);
  }
};

}  // namespace mdp::net
