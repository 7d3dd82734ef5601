// How net compiles Asio and Beast. Included before any Boost header, in every file that includes one: two
// files that disagree would break the one-definition rule. Private to net and its tests.
#pragma once

#ifndef BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_ASIO_SEPARATE_COMPILATION
#endif
#ifndef BOOST_BEAST_SEPARATE_COMPILATION
#define BOOST_BEAST_SEPARATE_COMPILATION
#endif
