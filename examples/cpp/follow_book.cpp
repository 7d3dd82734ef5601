// follow_book SEGMENT SYMBOL: prints the best bid and ask of one instrument as they change, for as long as
// somebody publishes it. It survives what a program that runs for weeks meets: laps, books that are not LIVE,
// and a publisher that is started again. It waits for a minute for the next publisher; then it ends with exit
// code 1.
#include <chrono>
#include <cstdio>
#include <mdp/shm/shm.hpp>
#include <thread>
using namespace mdp::shm;

namespace {

struct Followed {
  InstrumentEntry instrument;
  Book book;
};

// Takes the book as it is now, and has the next events of this instrument follow it.
bool join(Subscriber& feed, const char* symbol, Followed& of) {
  // A publisher that has just started may not list the instrument yet.
  for (int tries = 0; tries < 600; ++tries) {
    if (feed.find(symbol, of.instrument) && feed.follow(of.instrument.symbol_id, of.book) == BookStatus::Ok) {
      std::printf("%s %s\n", symbol, to_string(of.book.entry.state));
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  std::fprintf(stderr, "follow_book: %s: no such instrument in the segment\n", symbol);
  return false;
}

// Waits for a new publisher under the same name. False: none came within a minute.
bool wait_for_next_publisher(Subscriber& feed) {
  for (int tries = 0; tries < 600; ++tries) {
    if (feed.reattach() == AttachStatus::Ok) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

void print(const BboBody& bbo, const InstrumentEntry& of) {
  std::printf("%s %s\n", to_decimal(bbo.bid.price, of.price_exponent).c_str(),
              to_decimal(bbo.ask.price, of.price_exponent).c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: follow_book SEGMENT SYMBOL\n", stderr), 2;
  Subscriber feed;
  const AttachStatus attached = feed.open(argv[1]);
  if (attached != AttachStatus::Ok) {
    std::fprintf(stderr, "follow_book: %s: %s\n", argv[1], feed.explain(attached).c_str());
    return 1;
  }
  Followed followed;
  if (!join(feed, argv[2], followed)) return 1;
  for (Event event;;) {
    const ReadStatus status = feed.wait(event);
    if (status == ReadStatus::Ok) {
      if (const auto* bbo = event.get_if<BboBody>()) print(*bbo, followed.instrument);
      // Between these two the book is not to be traded on.
      if (const auto* state = event.get_if<BookStateBody>()) {
        std::printf("%s %s\n", to_string(state->state), to_string(state->reason));
      }
    } else if (status == ReadStatus::Lapped) {
      std::printf("lost %llu events\n", 0ULL + feed.ring().lost_events());
      if (!join(feed, argv[2], followed)) return 1;
    } else if (status == ReadStatus::PublisherStale) {
      std::printf("%s\n", to_string(status));  // hung or suspended: not to be traded on until an event comes
    } else if (ended(status)) {
      std::puts(to_string(status));  // stopped, dead, replaced or corrupt
      std::fflush(stdout);
      if (!wait_for_next_publisher(feed) || !join(feed, argv[2], followed)) return 1;
    }
  }
}
