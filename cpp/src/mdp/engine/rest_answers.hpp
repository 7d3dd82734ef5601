// What a venue answers to REST requests, read and put into words. REST thread.
#pragma once

#include <cstddef>
#include <cstdint>
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

// `rest_url` and `target`: what was asked, for the error.
InstrumentList read_instruments(const core::Venue& venue, const net::RestResponse& response,
                                std::string_view rest_url, std::string_view target);

// Why the answer is of no use, for people: the step that failed, or what the venue or a server before it said.
// Empty for HTTP 200 with a body.
std::string problem_of(const core::Venue& venue, const net::RestResponse& response);

// What the venue said of its REST budget: `x-mbx-used-weight-1m` and the like; -1 where it said nothing.
std::int64_t used_weight(const net::RestResponse& response);

}  // namespace mdp::engine
