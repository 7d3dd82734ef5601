// How net compiles Asio and Beast. Included before any Boost header, in every file that includes one: two
// files that disagree would break the one-definition rule. Private to net and its tests.
#pragma once

#if defined(BOOST_ASIO_DETAIL_CONFIG_HPP) && !defined(BOOST_ASIO_SEPARATE_COMPILATION)
#error "include mdp/net/boost_config.hpp before the first Boost header"
#endif

#ifndef BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_ASIO_SEPARATE_COMPILATION
#endif
#ifndef BOOST_BEAST_SEPARATE_COMPILATION
#define BOOST_BEAST_SEPARATE_COMPILATION
#endif

// The thread sanitizer does not model standalone fences (g++ says so with -Wtsan). Asio has them as an extra:
// its own mutexes order all that crosses threads.
#if defined(__SANITIZE_THREAD__) && !defined(BOOST_ASIO_DISABLE_FENCED_BLOCK)
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif
