// NameLookup: one question to the system's resolver, on a thread of its own. Private to net. Set-up only.
//
// getaddrinfo() cannot be ended, and takes half a minute where no name server answers. Asio's resolver asks
// on one thread per io_context: there, one such name holds up every other, and the end of the io_context too.
// A thread that was given up ends by itself, later, and touches nothing of ours.
#pragma once

#include "mdp/net/boost_config.hpp"
//
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mdp/net/transport.hpp"

namespace mdp::net {

class NameLookup {
 public:
  using Done = std::function<void(error_code, std::vector<tcp::endpoint>)>;

  // `done` is called once, on the thread of `loop`, never from within, unless the lookup is destroyed before.
  NameLookup(IoLoop::Impl& loop, std::string host, std::uint16_t port, Done done);
  // On the loop's thread, or when the loop does not run. Gives up.
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

 private:
  struct Question;
  std::shared_ptr<Question> question_;
};

}  // namespace mdp::net
