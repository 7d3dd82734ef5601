// SocketOptions: what is asked of the kernel for a connection. Where it refuses, that is logged
// (socket.option_refused) and the connection works without; where it gives less, that is logged too.
#pragma once

#include "mdp/core/settings.hpp"

namespace mdp::net {

struct SocketOptions {
  bool tcp_nodelay = true;
  int receive_buffer = 0;  // SO_RCVBUF in bytes; 0: the kernel's own sizing
  int busy_poll_us = 0;    // SO_BUSY_POLL; 0: off. Needs CAP_NET_ADMIN where it exceeds the system's value

  template <class Visit>
  static void visit_settings(Visit&& visit) {
    MDP_SETTING(SocketOptions, tcp_nodelay);
    MDP_SETTING(SocketOptions, receive_buffer);
    MDP_SETTING(SocketOptions, busy_poll_us);
  }
};

}  // namespace mdp::net
