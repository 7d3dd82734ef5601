// Exceptions of set-up and shutdown, and the assertion macro. The message path uses status enums instead.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace mdp {

// What was wanted, what was found, where, and what to do: every message of these says all four.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class ConfigError : public Error {
 public:
  using Error::Error;
};
class ConnectError : public Error {
 public:
  explicit ConnectError(const std::string& what, std::int64_t retry_after_s = -1)
      : Error(what), retry_after_s_(retry_after_s) {}
  // Seconds the venue wants to be left alone for (Retry-After of a 429 or 418); -1: it does not say.
  std::int64_t retry_after_s() const noexcept { return retry_after_s_; }

 private:
  std::int64_t retry_after_s_;
};
class SegmentError : public Error {
 public:
  using Error::Error;
};

}  // namespace mdp

// Programmer errors; on in every build that does not define NDEBUG.
#ifdef NDEBUG
#define MDP_ASSERT(condition) static_cast<void>(0)
#else
#define MDP_ASSERT(condition)                                                                            \
  ((condition) ? static_cast<void>(0)                                                                    \
               : (std::fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition), \
                  std::abort()))
#endif
