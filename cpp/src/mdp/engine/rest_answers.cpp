#include "mdp/engine/rest_answers.hpp"

#include <deque>
#include <iterator>
#include <memory>
#include <utility>

#include "mdp/net/refusal.hpp"

namespace mdp::engine {

std::string problem_of(const core::Venue& venue, const net::RestResponse& response) {
  if (!response.error.empty()) return response.error;
  if (response.status == 200) return {};
  const net::HttpAnswer answer{response.status, response.reason, response.header("server"),
                               response.header("location"), response.body()};
  return net::describe_refusal(answer, venue.describe_rest_error(response.body()), "rest_url");
}

namespace {

// More than any venue has; one that names a next page for ever is not followed for ever.
constexpr std::size_t kMaxPages = 500;

// All requests for one list. Each callback holds it until the next request is on its way.
struct Listing : std::enable_shared_from_this<Listing> {
  Listing(net::RestClient& client, const core::Venue& of, std::string url, std::chrono::milliseconds each,
          std::function<void(InstrumentList)> callback)
      : rest(client), venue(of), rest_url(std::move(url)), timeout(each), done(std::move(callback)) {
    for (core::RestRequest& request : venue.instruments_requests()) waiting.push_back(std::move(request));
  }

  void ask_next() {
    if (waiting.empty()) return done(std::move(list));
    core::RestRequest request = std::move(waiting.front());
    waiting.pop_front();
    rest.send(request, timeout, [self = shared_from_this(), request](const net::RestResponse& response) {
      self->on_answer(request, response);
    });
  }

  void on_answer(const core::RestRequest& request, const net::RestResponse& response) {
    list.retry_after_s = response.retry_after_s();
    list.used_weight = venue.used_weight(response.headers);
    list.error = add(request, response);
    if (list.error.empty()) return ask_next();
    list.error = std::string(venue.name()) + ": cannot list instruments: " + core::to_string(request.method) +
                 ' ' + rest_url + request.target + ": " + list.error;
    list.instruments.clear();
    done(std::move(list));
  }

  // What is wrong with the answer, or nothing.
  std::string add(const core::RestRequest& request, const net::RestResponse& response) {
    if (std::string problem = problem_of(venue, response); !problem.empty()) return problem;
    auto page = venue.parse_instruments(response.body());
    if (!page) return page.error();
    std::move(page->begin(), page->end(), std::back_inserter(list.instruments));
    if (auto next = venue.next_instruments_request(request, response.body())) {
      if (++pages > kMaxPages) return std::string("another page after ").append(std::to_string(kMaxPages));
      waiting.push_front(std::move(*next));
    }
    return {};
  }

  net::RestClient& rest;
  const core::Venue& venue;
  const std::string rest_url;
  const std::chrono::milliseconds timeout;
  const std::function<void(InstrumentList)> done;
  std::deque<core::RestRequest> waiting;
  std::size_t pages = 0;
  InstrumentList list;
};

}  // namespace

void fetch_instruments(net::RestClient& rest, const core::Venue& venue, std::string rest_url,
                       std::chrono::milliseconds timeout, std::function<void(InstrumentList)> done) {
  std::make_shared<Listing>(rest, venue, std::move(rest_url), timeout, std::move(done))->ask_next();
}

std::uint32_t instruments_weight(const core::Venue& venue) {
  std::uint32_t weight = 0;
  for (const core::RestRequest& request : venue.instruments_requests()) weight += request.weight;
  return weight;
}

}  // namespace mdp::engine
