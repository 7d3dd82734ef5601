#include "mdp/net/refusal.hpp"

#include "mdp/core/text.hpp"

namespace mdp::net {
namespace {

constexpr std::size_t kReasonBytes = 40;
constexpr std::size_t kServerBytes = 40;
constexpr std::size_t kLocationBytes = 120;

}  // namespace

std::string describe_refusal(const HttpAnswer& answer, std::string_view venue_words, std::string_view key) {
  std::string text = "HTTP " + std::to_string(answer.status);
  if (!answer.reason.empty()) text += ' ' + core::printable(answer.reason, kReasonBytes);
  std::string who;
  if (!answer.server.empty()) who = "server " + core::quoted(answer.server, kServerBytes);
  const bool redirect = answer.status / 100 == 3 && !answer.location.empty();
  if (redirect) {
    if (!who.empty()) who += ", ";
    who += "location " + core::quoted(answer.location, kLocationBytes);
  }
  if (!who.empty()) text += " (" + who + ')';
  // A page that says "moved" in HTML adds nothing.
  if (redirect) {
    return text + ": redirects are not followed; if the venue has moved, set " + std::string(key);
  }
  const std::string words =
      venue_words.empty() ? core::page_words(answer.page) : core::printable(venue_words);
  return words.empty() ? text : text + ": " + words;
}

}  // namespace mdp::net
