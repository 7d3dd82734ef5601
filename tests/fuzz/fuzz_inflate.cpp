// Compressed bytes of a server, whatever they are: no harm, never more than the limit, and both ways to
// unpack them agree.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mdp/net/inflater.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using mdp::net::Inflater;
  using mdp::net::InflateStatus;
  constexpr std::size_t kMost = 1 << 16;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static Inflater inflaters[] = {Inflater(Inflater::Format::Gzip), Inflater(Inflater::Format::Deflate),
                                 Inflater(Inflater::Format::Raw)};
  static std::vector<char> room(kMost);
  for (Inflater& inflater : inflaters) {
    std::string out;
    const InflateStatus status = inflater.inflate(bytes, kMost, out);
    std::size_t written = 0;
    const InflateStatus again = inflater.inflate(bytes, room.data(), room.size(), written);
    const bool same =
        status == again && (status != InflateStatus::Ok || out == std::string_view(room.data(), written));
    if (same && out.size() <= kMost && written <= kMost) continue;
    std::fprintf(stderr, "the two differ: %s and %s\n", to_string(status), to_string(again));
    std::abort();
  }
  return 0;
}
