// iceoryx2 as a peer of the ring: one publish-subscribe service of 64-byte messages.
//
// iceoryx2 is Rust. bench/iceoryx2 wraps it in a shared library of five C functions, which scripts/bench
// builds where cargo is and names in $MDP_ICEORYX2_PEER; without it this peer is left out.
#pragma once

#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace mdp::bench {

class Iceoryx2Library {
 public:
  struct alignas(64) Message {
    std::uint64_t number;
    std::uint64_t rest[7];
  };

  // The library, or one that is not available().
  static const Iceoryx2Library& get() {
    static const Iceoryx2Library library;
    return library;
  }
  bool available() const noexcept { return close != nullptr; }

  void* (*sender)(const char*) = nullptr;
  void* (*receiver)(const char*) = nullptr;
  int (*send)(void*, std::uint64_t) = nullptr;
  int (*receive)(void*, Message*) = nullptr;
  void (*close)(void*, void*) = nullptr;

 private:
  Iceoryx2Library() {
    const char* path = std::getenv("MDP_ICEORYX2_PEER");
    void* handle = path != nullptr ? ::dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (handle == nullptr) return;
    load(handle, "mdp_iceoryx2_sender", sender);
    load(handle, "mdp_iceoryx2_receiver", receiver);
    load(handle, "mdp_iceoryx2_send", send);
    load(handle, "mdp_iceoryx2_receive", receive);
    load(handle, "mdp_iceoryx2_close", close);
  }
  template <class Function>
  static void load(void* handle, const char* name, Function& out) {
    out = reinterpret_cast<Function>(::dlsym(handle, name));
    if (out == nullptr) throw std::runtime_error(std::string("no ").append(name));
  }
};

// A way of latency_commit_to_read: one thread sends, one receives.
class Iceoryx2 {
 public:
  Iceoryx2() {
    static int number = 0;
    const std::string name =
        std::string("mdp/bench/").append(std::to_string(::getpid())) + "/" + std::to_string(number++);
    receiver_ = library_.receiver(name.c_str());
    sender_ = library_.sender(name.c_str());
    if (receiver_ == nullptr || sender_ == nullptr) throw std::runtime_error("iceoryx2 made no service");
  }
  ~Iceoryx2() { library_.close(sender_, receiver_); }
  Iceoryx2(const Iceoryx2&) = delete;
  Iceoryx2& operator=(const Iceoryx2&) = delete;

  void send(std::uint64_t number) noexcept {
    if (library_.send(sender_, number) != 0) std::abort();
  }
  // Whether a message was there; `number` is then its.
  bool try_receive(std::uint64_t& number) noexcept {
    Iceoryx2Library::Message message;
    const int got = library_.receive(receiver_, &message);
    if (got < 0) std::abort();
    number = message.number;
    return got > 0;
  }

 private:
  const Iceoryx2Library& library_ = Iceoryx2Library::get();
  void* sender_ = nullptr;
  void* receiver_ = nullptr;
};

}  // namespace mdp::bench
