#include "mdp/net/name_lookup.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "mdp/sys/thread.hpp"

namespace mdp::net {

// Shared with the thread that asks, which may outlive the loop.
struct NameLookup::Question {
  std::mutex mutex;
  asio::io_context* io = nullptr;  // under the mutex; nullptr: nobody wants to know any more
  Done done;                       // the loop's alone

  static void answer(const std::shared_ptr<Question>& self, error_code ec,
                     std::vector<tcp::endpoint> addresses) {
    const std::lock_guard lock(self->mutex);
    if (self->io == nullptr) return;
    asio::post(*self->io, [self, ec, addresses = std::move(addresses)]() mutable {
      if (const Done done = std::exchange(self->done, nullptr)) done(ec, std::move(addresses));
    });
  }
};

NameLookup::NameLookup(IoLoop::Impl& loop, std::string host, std::uint16_t port, Done done)
    : question_(std::make_shared<Question>()) {
  question_->io = &loop.io;
  question_->done = std::move(done);
  try {
    std::thread([question = question_, host = std::move(host), port] {
      sys::set_thread_name("mdp-resolve");
      asio::io_context none;  // only async operations need a running one
      asio::ip::tcp::resolver resolver(none);
      error_code ec;
      std::vector<tcp::endpoint> addresses;
      const auto flags = asio::ip::tcp::resolver::numeric_service;
      for (const auto& entry : resolver.resolve(host, std::to_string(port), flags, ec)) {
        addresses.push_back(entry.endpoint());
      }
      Question::answer(question, ec, std::move(addresses));
    }).detach();
  } catch (const std::system_error&) {  // no thread to be had
    Question::answer(question_, asio::error::no_memory, {});
  }
}

NameLookup::~NameLookup() {
  const std::lock_guard lock(question_->mutex);
  question_->io = nullptr;
  question_->done = nullptr;
}

}  // namespace mdp::net
