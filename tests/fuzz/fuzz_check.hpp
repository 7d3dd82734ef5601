#pragma once

#include <cstdio>
#include <cstdlib>

// A finding, not a crash of the fuzzer: says what, then stops where the debugger can look.
#define MDP_FUZZ_CHECK(condition)                                                         \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
