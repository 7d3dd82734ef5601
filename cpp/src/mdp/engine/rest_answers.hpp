// What a venue answers to REST requests, read and put into words. REST thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mdp/core/instrument.hpp"
#include "mdp/core/venue.hpp"
#include "mdp/net/rest_client.hpp"

namespace mdp::engine {

// What came of asking a venue for its instruments.
struct InstrumentList {
  std::size_t venue = 0;  // as Engine::add_venue() numbered it
  std::vector<core::Instrument> instruments;
  std::string error;                // why there are none, naming the address; empty: there are
  std::int64_t retry_after_s = -1;  // for how long the venue wants to be left alone; -1: it does not say
  std::int64_t used_weight = -1;    // of its REST budget this minute; -1: it does not say
};

// Lists on their way from the REST thread to control. Few and far between, so a lock does; never full.
class InstrumentLists {
 public:
  void post(InstrumentList list) {
    const std::lock_guard lock(mutex_);
    lists_.push_back(std::move(list));
  }
  std::vector<InstrumentList> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(lists_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<InstrumentList> lists_;
};

// Asks for all instruments of a venue, request after request and page after page. `done` is called once, on
// the REST thread, with all of them or with the first error; not at all where the client ends before.
// `rest_url` is for the error; `rest` and `venue` outlive the answers.
void fetch_instruments(net::RestClient& rest, const core::Venue& venue, std::string rest_url,
                       std::chrono::milliseconds timeout, std::function<void(InstrumentList)> done);

// What that takes of the venue's REST budget, the first page of each request.
std::uint32_t instruments_weight(const core::Venue& venue);

// Why the answer is of no use, for people: the step that failed, or what the venue or a server before it
// said. Empty for HTTP 200 with a body.
std::string problem_of(const core::Venue& venue, const net::RestResponse& response);

}  // namespace mdp::engine
