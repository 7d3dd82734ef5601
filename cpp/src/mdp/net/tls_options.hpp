// TlsOptions: how a connection proves it talks to the venue. Shared by the connector and the REST client.
#pragma once

#include <string>

#include "mdp/core/settings.hpp"
#include "mdp/net/url.hpp"

namespace mdp::net {

struct TlsOptions {
  std::string ca_file;      // PEM bundle to trust instead of the system's; empty: the system's
  std::string server_name;  // for SNI and the certificate check; empty: the host of the URL
  // Accept any certificate. Loopback hosts only (ConfigError otherwise), and logged as a warning at every
  // start.
  bool insecure_skip_verify = false;

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(TlsOptions, ca_file);
    MDP_SETTING(TlsOptions, server_name);
    MDP_SETTING(TlsOptions, insecure_skip_verify);
  }
};

// Throws ConfigError: the CA file cannot be read, or verification is switched off for a host that is not
// loopback.
void check_tls(const Url& url, const TlsOptions& options);

}  // namespace mdp::net
