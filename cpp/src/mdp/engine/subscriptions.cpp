#include "mdp/engine/subscriptions.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mdp::engine {
namespace {

std::size_t longest(const std::vector<std::string>& frames) {
  std::size_t bytes = 0;
  for (const std::string& frame : frames) bytes = std::max(bytes, frame.size());
  return bytes;
}

bool is_same(const core::Subscription& a, const core::Subscription& b) {
  return a.venue_symbol == b.venue_symbol && a.channel == b.channel;
}

void append(net::Requests& to, net::Requests from) {
  if (to.frames.empty()) to.first_id = from.first_id;
  std::move(from.frames.begin(), from.frames.end(), std::back_inserter(to.frames));
}

}  // namespace

Subscriptions::Subscriptions(const core::Venue& venue)
    : venue_(venue), max_request_bytes_(venue.endpoint().max_request_bytes) {}

void Subscriptions::remove(const std::string& venue_symbol) {
  std::erase_if(all_, [&](const core::Subscription& s) { return s.venue_symbol == venue_symbol; });
}

bool Subscriptions::has(const core::Subscription& wanted) const noexcept {
  return std::any_of(all_.begin(), all_.end(), [&](const core::Subscription& s) {
    return s.venue_symbol == wanted.venue_symbol && s.channel == wanted.channel;
  });
}

net::Requests Subscriptions::begin(Connection connection) {
  end(connection);
  return ask(connection, all_, false);
}

void Subscriptions::end(Connection connection) {
  std::erase_if(unanswered_, [&](const auto& entry) { return entry.second.connection == connection; });
  answering_.erase(connection);
}

bool Subscriptions::is_confirmed(Connection connection) const noexcept {
  return std::none_of(unanswered_.begin(), unanswered_.end(), [&](const auto& entry) {
    return entry.second.connection == connection && !entry.second.is_left_over;
  });
}

net::Requests Subscriptions::leave(const List& left) {
  const std::int64_t first_id = next_request_id_;
  std::vector<std::string> frames = venue_.unsubscribe_frames(left, first_id);
  next_request_id_ += static_cast<std::int64_t>(frames.size());
  return {std::move(frames), venue_.endpoint().answers == core::Answers::PerFrame ? first_id : 0};
}

net::Requests Subscriptions::ask(Connection connection, std::span<const core::Subscription> wanted,
                                 bool is_cut) {
  const core::Endpoint& endpoint = venue_.endpoint();
  net::Requests requests({}, next_request_id_);
  while (!wanted.empty()) {
    std::size_t streams = std::min(wanted.size(), std::max<std::size_t>(endpoint.max_streams_per_request, 1));
    std::vector<std::string> frames;
    for (;;) {
      frames = venue_.subscribe_frames(wanted.first(streams), next_request_id_);
      const std::size_t bytes = longest(frames);
      if (bytes <= max_request_bytes_ || streams == 1) break;
      // As many as would fit if they were all of one length; fewer in any case.
      streams = std::clamp<std::size_t>(streams * max_request_bytes_ / bytes, 1, streams - 1);
    }
    const auto part = wanted.first(streams);
    wanted = wanted.subspan(streams);
    for (const std::string& frame : frames) {
      const std::int64_t id = next_request_id_++;
      if (endpoint.answers == core::Answers::None) continue;
      unanswered_.insert({id, {connection, {part.begin(), part.end()}, part.size(), frame.size(), is_cut}});
    }
    std::move(frames.begin(), frames.end(), std::back_inserter(requests.frames));
  }
  return requests;
}

std::map<std::int64_t, Subscriptions::Request>::iterator Subscriptions::find(Connection connection,
                                                                             std::int64_t request_id) {
  const auto found = unanswered_.find(request_id);
  return found != unanswered_.end() && found->second.connection == connection ? found : unanswered_.end();
}

Subscriptions::Answer Subscriptions::answered(Connection connection, std::int64_t request_id,
                                              bool is_refused) {
  const auto found = find(connection, request_id);
  if (found == unanswered_.end()) return {};  // of a connection before this one, cut meanwhile, or not ours
  const Request request = std::move(found->second);
  unanswered_.erase(found);
  learn_length(request);
  Answer answer{.is_known = true, .completed = request_id};
  if (!is_refused) return answer;
  if (request.asked.size() == 1) {
    answer.given_up = request.asked.front();
    std::erase_if(all_, [&](const core::Subscription& s) { return is_same(s, *answer.given_up); });
    return answer;
  }
  // One of several was wrong, and the venue does not say which.
  const List wanted = still_wanted(request.asked);
  const auto first = std::span(wanted).first(wanted.size() / 2);
  answer.again = ask(connection, first, false);
  append(answer.again, ask(connection, std::span(wanted).subspan(first.size()), false));
  return answer;
}

Subscriptions::Answer Subscriptions::answered(Connection connection, const core::Subscription& subscription,
                                              bool is_refused) {
  const auto is_it = [&](const core::Subscription& s) { return is_same(s, subscription); };
  for (auto entry = unanswered_.begin(); entry != unanswered_.end(); ++entry) {
    Request& request = entry->second;
    if (request.connection != connection || std::erase_if(request.asked, is_it) == 0) continue;
    answering_.insert(connection);
    Answer answer{.is_known = true};
    if (is_refused) {
      answer.given_up = subscription;
      std::erase_if(all_, is_it);
    }
    if (request.asked.empty()) {
      learn_length(request);
      answer.completed = entry->first;
      unanswered_.erase(entry);
    }
    return answer;
  }
  return {};  // asked for by a connection before this one, answered already, or not ours
}

// What is so long is answered, what was longer was not: the next connection need not find out again. From a
// single stream nothing follows.
void Subscriptions::learn_length(const Request& answered) {
  if (answered.is_cut && answered.streams > 1) {
    max_request_bytes_ = std::min(max_request_bytes_, answered.bytes);
  }
}

// Some may have been removed since they were asked for.
Subscriptions::List Subscriptions::still_wanted(const List& asked) const {
  List wanted;
  std::copy_if(asked.begin(), asked.end(), std::back_inserter(wanted), [&](const core::Subscription& one) {
    return std::any_of(all_.begin(), all_.end(),
                       [&](const core::Subscription& s) { return is_same(s, one); });
  });
  return wanted;
}

// The venue reads what we send and answers it, so neither length nor connection is to blame.
net::Requests Subscriptions::ask_left_over(Connection connection, const List& left_over) {
  net::Requests again = ask(connection, left_over, false);
  for (auto entry = unanswered_.lower_bound(again.first_id); entry != unanswered_.end(); ++entry) {
    entry->second.is_left_over = true;
  }
  again.first_id = 0;
  return again;
}

net::Requests Subscriptions::unanswered(Connection connection, std::int64_t request_id) {
  const auto found = find(connection, request_id);
  if (found == unanswered_.end()) return {};
  const Request& request = found->second;
  const bool is_left_over =
      request.asked.size() < request.streams || (request.streams == 1 && answering_.contains(connection));
  if (request.streams == 1 && !is_left_over) return {};
  const List wanted = still_wanted(request.asked);
  unanswered_.erase(found);
  if (is_left_over) return ask_left_over(connection, wanted);
  if (wanted.empty()) return {};
  const auto alone = std::span(wanted).first(1);
  const auto rest = std::span(wanted).subspan(1);
  const std::size_t half = (rest.size() + 1) / 2;
  net::Requests again = ask(connection, alone, true);
  append(again, ask(connection, rest.first(half), true));
  append(again, ask(connection, rest.subspan(half), true));
  return again;
}

}  // namespace mdp::engine
