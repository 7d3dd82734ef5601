// RestRequest: one call of a venue's REST interface, what it is and what it costs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mdp::core {

// Of a request, as they are sent; of an answer, names in lower case.
using RestHeaders = std::vector<std::pair<std::string, std::string>>;

enum class RestMethod : std::uint8_t { Get, Post };

constexpr const char* to_string(RestMethod method) noexcept {
  return method == RestMethod::Post ? "POST" : "GET";
}

struct RestRequest {
  std::string target;  // path and query
  std::uint32_t weight = 0;
  std::uint16_t depth_limit = 0;  // of a snapshot: levels a side the answer holds at most; 0: the whole book
  RestMethod method = RestMethod::Get;
  std::string body = {};     // of a POST: JSON; may be empty
  RestHeaders headers = {};  // beside those that every request has
};

}  // namespace mdp::core
