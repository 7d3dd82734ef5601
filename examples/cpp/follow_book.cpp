// follow_book SEGMENT SYMBOL: keeps the whole book of one instrument, compares it with the publisher's
// checksums and prints its best bid and ask as they change, for as long as somebody publishes it. It survives
// what a program that runs for weeks meets: laps, books that are not LIVE, and a publisher that is started
// again. It waits for a minute for the next publisher; then it ends with exit code 1.
#include <chrono>
#include <cstdio>
#include <mdp/shm/shm.hpp>
#include <thread>
using namespace mdp::shm;

namespace {

// The best prices of a book, printed where they change.
class Top {
 public:
  void print(const BookKeeper& book, const InstrumentEntry& of) {
    const auto bid = book.bid(), ask = book.ask();
    if (!book.usable() || !bid || !ask) return;
    if (bid->price == bid_ && ask->price == ask_) return;
    bid_ = bid->price;
    ask_ = ask->price;
    std::printf("%s %s\n", to_decimal(bid_, of.price_exponent).c_str(),
                to_decimal(ask_, of.price_exponent).c_str());
    std::fflush(stdout);
  }

 private:
  std::int64_t bid_ = 0;
  std::int64_t ask_ = 0;
};

// Takes the book as it is now, and has the next events of this instrument follow it.
bool join(Subscriber& feed, const char* symbol, InstrumentEntry& of, BookKeeper& book) {
  // A publisher that has just started may not list the instrument yet.
  for (int tries = 0; tries < 600; ++tries) {
    if (feed.find(symbol, of) && feed.follow(of.symbol_id, book) == BookStatus::Ok) {
      std::printf("%s %s\n", symbol, to_string(book.state()));
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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: follow_book SEGMENT SYMBOL\n", stderr), 2;
  Subscriber feed;
  const AttachStatus attached = feed.open(argv[1]);
  if (attached != AttachStatus::Ok) {
    std::fprintf(stderr, "follow_book: %s: %s\n", argv[1], feed.explain(attached).c_str());
    return 1;
  }
  InstrumentEntry instrument;
  BookKeeper book;
  book.verify(true);
  if (!join(feed, argv[2], instrument, book)) return 1;
  Top top;
  for (Event event;;) {
    const ReadStatus status = feed.wait(event, book);
    if (status == ReadStatus::Ok) {
      // Between a state that is not LIVE and the next one that is, the book is not to be traded on.
      if (const auto* state = event.get_if<BookStateBody>()) {
        std::printf("%s %s\n", to_string(state->state), to_string(state->reason));
      }
      top.print(book, instrument);
    } else if (status == ReadStatus::Lapped) {  // the book has been loaded anew
      std::printf("lost %llu events\n", 0ULL + feed.ring().lost_events());
    } else if (status == ReadStatus::Mismatch) {  // never seen; not usable() until it comes whole again
      std::puts(to_string(status));
    } else if (status == ReadStatus::PublisherStale) {
      std::printf("%s\n", to_string(status));  // hung or suspended: not to be traded on until an event comes
    } else if (ended(status)) {
      std::puts(to_string(status));  // stopped, dead, replaced or corrupt
      std::fflush(stdout);
      if (!wait_for_next_publisher(feed) || !join(feed, argv[2], instrument, book)) return 1;
    }
  }
}
