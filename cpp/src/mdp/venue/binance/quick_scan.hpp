// quick_scan(): what scan_document() finds, for frames written as the venue writes them, in one pass over
// their bytes and without an index made first.
//
// It knows compact JSON: no white space, no escape, nothing but ASCII; an event alone or as the `data` behind
// a `stream`; keys in any order. Whatever else a frame holds, it leaves to scan_document().
#pragma once

#include <cstddef>

#include "mdp/venue/binance/scan.hpp"

namespace mdp::venue::binance {

// False: the frame is of another kind, and `fields` holds anything. True: `fields` is what scan_document()
// makes of the frame, if the level arrays are arrays as core::scan_levels() reads them: where such an array
// ends was told by its `]]` alone. Texts point into `data`, which has kFramePadding readable bytes behind it.
bool quick_scan(const char* data, std::size_t size, Fields& fields) noexcept;

}  // namespace mdp::venue::binance
