// Foreign text, whatever its bytes: what people are shown of it is printable, short enough, and changes no
// more.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mdp/core/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdp::core;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const std::size_t limit : {std::size_t{0}, std::size_t{5}, std::size_t{64}, kShownBytes}) {
    char to[kShownBytes];
    for (const std::string& shown :
         {printable(bytes, limit), page_words(bytes, limit), std::string(to, printable(bytes, to, limit))}) {
      const bool fits = shown.size() <= limit || shown.find("bytes that are no text") != std::string::npos;
      if (fits && is_printable(shown) && printable(shown, shown.size()) == shown) continue;
      std::fprintf(stderr, "shown with a limit of %zu: %s\n", limit, shown.c_str());
      std::abort();
    }
    if (!is_printable(quoted(bytes, limit))) std::abort();
  }
  return 0;
}
