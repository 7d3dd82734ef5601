// Memory in pages of 2 MiB where the system gives them: for what is large, kept for long and visited at
// random, whose address translations would not fit the processor's buffer otherwise.
#pragma once

#include <memory_resource>

namespace mdp::sys {

// Rounds every request up to whole huge pages, so ask for much at once. Where the system has no huge pages
// to give it is plain memory. Throws std::bad_alloc. Any thread; lives for ever.
std::pmr::memory_resource& huge_page_memory() noexcept;

}  // namespace mdp::sys
