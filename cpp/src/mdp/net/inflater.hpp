// Inflater: what a server or a venue has compressed, in bytes again. For REST bodies, and for WebSocket
// frames of venues that compress each. The only file that knows zlib is its source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mdp::net {

// What an HTTP body is wrapped in.
enum class Coding : std::uint8_t {
  Identity,  // nothing
  Gzip,
  Deflate,
  Unknown,  // something else, or several
};

// Of the value of a Content-Encoding header; empty: Identity.
Coding coding_of(std::string_view content_encoding) noexcept;

enum class InflateStatus : std::uint8_t {
  Ok,         // the input is one whole stream
  TooLong,    // it holds more than there may be
  Truncated,  // the input ends before the stream does
  Damaged,    // no such stream, or its checksum is another
  Trailing,   // bytes follow that belong to no stream
  NoMemory,
};

// For an error: "truncated" and the like.
const char* to_string(InflateStatus status) noexcept;

// Not thread-safe. The first stream allocates some 40 KB, which later streams use again.
class Inflater {
 public:
  enum class Format : std::uint8_t {
    Gzip,     // RFC 1952: one member, or several in a row
    Deflate,  // RFC 1950, or the bare RFC 1951 that some servers call "deflate": its first bytes tell
    Raw,      // RFC 1951
  };

  explicit Inflater(Format format);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Puts what `compressed` holds in place of `out`, which grows as needed, to `max_bytes` at most. `out` is
  // of no use unless Ok.
  [[nodiscard]] InflateStatus inflate(std::string_view compressed, std::size_t max_bytes, std::string& out);

  // The same into memory of the caller; nothing is allocated once a first stream was read. TooLong: again
  // with more room.
  [[nodiscard]] InflateStatus inflate(std::string_view compressed, char* to, std::size_t capacity,
                                      std::size_t& written) noexcept;

 private:
  struct Stream;

  const Format format_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace mdp::net
