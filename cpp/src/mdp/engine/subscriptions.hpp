// Subscriptions: what one lane asks of its venue, as requests that the venue can take, and which of them it
// has not answered.
//
// Part of Lane, which guards it by a lock and does the sending. A request is cut to what the venue takes, in
// streams and in bytes. One that the venue refuses is asked for again in halves, until the one stream that is
// wrong is found. So is one that stays unanswered, for a venue may leave a request that is too long for it:
// with one stream of it in front, alone, whose answer shows that the connection is not to blame.
//
// How a venue answers is its affair (core::Answers). One that answers subscription by subscription, by name,
// says itself which one is wrong: nothing is halved for that. It may pass one over in silence: where it has
// answered others, that one is asked for once more, and nobody waits for it; else a line would never be up,
// or be made anew for ever, for the sake of one stream. One that answers nothing has confirmed everything at
// once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "mdp/core/venue.hpp"
#include "mdp/net/exchange_connector.hpp"

namespace mdp::engine {

class Subscriptions {
 public:
  // Which of the lane's connections is meant; any number.
  using Connection = std::size_t;
  using List = std::vector<core::Subscription>;

  // `venue` outlives this.
  explicit Subscriptions(const core::Venue& venue);

  void add(const List& added) { all_.insert(all_.end(), added.begin(), added.end()); }
  void remove(const std::string& venue_symbol);
  std::size_t count() const noexcept { return all_.size(); }
  bool has(const core::Subscription& wanted) const noexcept;

  // The connection has come up: requests for everything.
  net::Requests begin(Connection connection);
  // Requests for these, which were added.
  net::Requests ask(Connection connection, const List& wanted) { return ask(connection, wanted, false); }
  // Requests to leave these. Their answers are awaited by the connection alone, where the venue answers
  // requests by their ids; else nobody awaits them.
  net::Requests leave(const List& left);
  // The connection is lost.
  void end(Connection connection);

  // Every request of the connection was answered, but for streams that the venue passes over, or the venue
  // does not answer requests.
  bool is_confirmed(Connection connection) const noexcept;

  struct Answer {
    bool is_known = false;                            // false: not to a request that is waiting here
    std::optional<core::Subscription> given_up = {};  // the one stream that the venue refused
    net::Requests again = {};                         // what to ask for in place of the request refused
    std::int64_t completed = 0;                       // the request that is now answered in full; 0: none
  };
  // Answers::PerFrame.
  Answer answered(Connection connection, std::int64_t request_id, bool is_refused);
  // Answers::PerSubscription.
  Answer answered(Connection connection, const core::Subscription& subscription, bool is_refused);

  // What to ask for in place of a request that the venue has not answered in time. Empty: it can be cut no
  // further, or is not known here; the connection is to blame. Without a first_id: the connection shall not
  // wait.
  net::Requests unanswered(Connection connection, std::int64_t request_id);

  // No request is longer, unless one stream alone is: core::Endpoint::max_request_bytes, or less where the
  // venue has left that unanswered and answered less.
  std::size_t max_request_bytes() const noexcept { return max_request_bytes_; }

 private:
  struct Request {
    Connection connection;
    List asked;           // without those answered by name
    std::size_t streams;  // with them
    std::size_t bytes;
    bool is_cut;                // from one that was not answered
    bool is_left_over = false;  // passed over once: nobody waits for it
  };

  void learn_length(const Request& answered);
  net::Requests ask(Connection connection, std::span<const core::Subscription> wanted, bool is_cut);
  List still_wanted(const List& asked) const;
  net::Requests ask_left_over(Connection connection, const List& left_over);
  std::map<std::int64_t, Request>::iterator find(Connection connection, std::int64_t request_id);

  const core::Venue& venue_;
  std::size_t max_request_bytes_;
  List all_;
  std::map<std::int64_t, Request> unanswered_;  // by id: the venue answers those, where it answers at all
  std::set<Connection> answering_;              // those that have answered by name
  std::int64_t next_request_id_ = 1;            // used once, whatever the connection
};

}  // namespace mdp::engine
