// Text from outside (a venue, a proxy, a server, a segment, a recording) on its way to people: into an error,
// a log line, a control event, the directory. Nothing promises that such bytes are UTF-8, and a strict reader
// beyond the border, as Python's is, fails at the first byte that is not. So every such text passes here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mdp::core {

// How many bytes of a foreign text an error or a log line shows.
inline constexpr std::size_t kShownBytes = 200;

// `text` as valid UTF-8 on one line that cannot steer a terminal. What is no UTF-8 becomes U+FFFD, a control
// character, a line separator or a change of direction a blank. The result has at most `max_bytes` bytes: a
// longer text is cut between two characters, and "..." (which counts) tells so.
std::string printable(std::string_view text, std::size_t max_bytes = kShownBytes);

// The same into memory of the caller, without allocating. Writes at most `capacity` bytes, neither "..." nor
// a zero behind them, and returns how many.
std::size_t printable(std::string_view text, char* to, std::size_t capacity) noexcept;

// Whether printable() leaves `text` as it is, but for its length. For names that identify something: such a
// name is refused, not changed.
bool is_printable(std::string_view text) noexcept;

// printable() as the value of a `key=value` in a log line: in quotes, with those inside it escaped as in
// mdp.log.fields. `max_bytes` is without quotes and escapes.
std::string quoted(std::string_view text, std::size_t max_bytes = kShownBytes);

// The first words of a page or document that a server sent, for an error: printable(), and of HTML or XML the
// text alone, without tags, scripts and styles. Bytes that are no text are told by their number and the first
// of them in hexadecimal. Empty for an empty page.
std::string page_words(std::string_view page, std::size_t max_bytes = kShownBytes);

}  // namespace mdp::core
