// Exceptions of set-up and shutdown, and the assertion macro. The message path uses status enums instead.
#pragma once

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
