#include "mdp/net/inflater.hpp"

#define ZLIB_CONST  // zlib then takes input it does not write to as const
#include <zlib.h>

#include <algorithm>
#include <new>

namespace mdp::net {
namespace {

constexpr std::size_t kLeastRoom = 4096;
constexpr std::size_t kGuessedRatio = 4;  // JSON shrinks to a fifth or less; more room is made as needed

// zlib counts in unsigned int.
constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;

std::string_view trimmed(std::string_view text) noexcept {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view word, std::string_view lower) noexcept {
  return std::equal(word.begin(), word.end(), lower.begin(), lower.end(), [](char found, char want) {
    return (found >= 'A' && found <= 'Z' ? static_cast<char>(found - 'A' + 'a') : found) == want;
  });
}

// RFC 1950: method 8, a check over both bytes, no preset dictionary.
bool has_zlib_header(std::string_view stream) noexcept {
  if (stream.size() < 2) return true;  // too short for either
  const unsigned method = static_cast<unsigned char>(stream[0]);
  const unsigned flags = static_cast<unsigned char>(stream[1]);
  return (method & 0x0F) == Z_DEFLATED && method >> 4 <= 7 && (method * 256 + flags) % 31 == 0 &&
         (flags & 0x20) == 0;
}

bool has_gzip_header(std::string_view stream) noexcept { return stream.starts_with("\x1F\x8B"); }

int window_bits(Inflater::Format format, std::string_view stream) noexcept {
  constexpr int kRaw = -MAX_WBITS;
  switch (format) {
    case Inflater::Format::Gzip:
      return MAX_WBITS + 16;
    case Inflater::Format::Deflate:
      return has_zlib_header(stream) ? MAX_WBITS : kRaw;
    case Inflater::Format::Raw:
      break;
  }
  return kRaw;
}

}  // namespace

Coding coding_of(std::string_view content_encoding) noexcept {
  Coding found = Coding::Identity;
  while (!content_encoding.empty()) {
    const std::size_t comma = std::min(content_encoding.find(','), content_encoding.size());
    const std::string_view word = trimmed(content_encoding.substr(0, comma));
    content_encoding.remove_prefix(std::min(comma + 1, content_encoding.size()));
    if (word.empty() || same_word(word, "identity")) continue;
    if (found != Coding::Identity) return Coding::Unknown;
    if (same_word(word, "gzip") || same_word(word, "x-gzip")) {
      found = Coding::Gzip;
    } else {
      found = same_word(word, "deflate") ? Coding::Deflate : Coding::Unknown;
    }
  }
  return found;
}

const char* to_string(InflateStatus status) noexcept {
  switch (status) {
    case InflateStatus::Ok:
      return "ok";
    case InflateStatus::TooLong:
      return "too long when unpacked";
    case InflateStatus::Truncated:
      return "truncated";
    case InflateStatus::Damaged:
      return "damaged";
    case InflateStatus::Trailing:
      return "followed by bytes that do not belong to it";
    case InflateStatus::NoMemory:
      return "no memory to unpack it";
  }
  return "unknown";
}

struct Inflater::Stream {
  z_stream zlib{};
  bool open = false;      // zlib has its memory
  std::string_view rest;  // of the input, what zlib has not been given

  ~Stream() {
    if (open) inflateEnd(&zlib);
  }

  bool begin(Format format, std::string_view compressed) noexcept {
    const int bits = window_bits(format, compressed);
    rest = compressed;
    zlib.next_in = nullptr;
    zlib.avail_in = 0;
    if (!open) {
      open = inflateInit2(&zlib, bits) == Z_OK;
      return open;
    }
    return inflateReset2(&zlib, bits) == Z_OK;
  }

  // Ok: the stream and the input are over. TooLong: there is more than fits.
  InflateStatus run(Format format, char* to, std::size_t capacity, std::size_t& written) noexcept;

  std::string_view unread() const noexcept {
    return zlib.avail_in != 0 ? std::string_view(reinterpret_cast<const char*>(zlib.next_in), zlib.avail_in)
                              : rest;
  }
};

InflateStatus Inflater::Stream::run(Format format, char* to, std::size_t capacity,
                                    std::size_t& written) noexcept {
  written = 0;
  char nowhere = 0;  // zlib wants an address even where there is no room
  for (;;) {
    if (zlib.avail_in == 0 && !rest.empty()) {
      const std::size_t given = std::min(rest.size(), kMostAtOnce);
      zlib.next_in = reinterpret_cast<const Bytef*>(rest.data());
      zlib.avail_in = static_cast<uInt>(given);
      rest.remove_prefix(given);
    }
    const std::size_t room = std::min(capacity - written, kMostAtOnce);
    zlib.next_out = reinterpret_cast<Bytef*>(room != 0 ? to + written : &nowhere);
    zlib.avail_out = static_cast<uInt>(room);
    const int result = ::inflate(&zlib, Z_NO_FLUSH);
    written += room - zlib.avail_out;
    switch (result) {
      case Z_STREAM_END:
        if (unread().empty()) return InflateStatus::Ok;
        if (format != Format::Gzip || !has_gzip_header(unread())) return InflateStatus::Trailing;
        if (inflateReset(&zlib) != Z_OK) return InflateStatus::NoMemory;  // the next member
        continue;
      case Z_OK:
      case Z_BUF_ERROR:  // no progress: it wants room or input
        if (zlib.avail_out == 0 && written == capacity) return InflateStatus::TooLong;
        if (zlib.avail_in == 0 && rest.empty()) return InflateStatus::Truncated;
        continue;
      case Z_MEM_ERROR:
        return InflateStatus::NoMemory;
      default:
        return InflateStatus::Damaged;
    }
  }
}

Inflater::Inflater(Format format) : format_(format), stream_(std::make_unique<Stream>()) {}
Inflater::~Inflater() = default;

InflateStatus Inflater::inflate(std::string_view compressed, std::size_t max_bytes, std::string& out) {
  if (!stream_->begin(format_, compressed)) return InflateStatus::NoMemory;
  out.resize(std::min(std::max(compressed.size() * kGuessedRatio, kLeastRoom), max_bytes));
  std::size_t filled = 0;
  for (;;) {
    std::size_t written = 0;
    const InflateStatus status = stream_->run(format_, out.data() + filled, out.size() - filled, written);
    filled += written;
    if (status != InflateStatus::TooLong || out.size() == max_bytes) {
      out.resize(filled);
      return status;
    }
    out.resize(std::min(2 * out.size(), max_bytes));
  }
}

InflateStatus Inflater::inflate(std::string_view compressed, char* to, std::size_t capacity,
                                std::size_t& written) noexcept {
  written = 0;
  if (!stream_->begin(format_, compressed)) return InflateStatus::NoMemory;
  return stream_->run(format_, to, capacity, written);
}

}  // namespace mdp::net
