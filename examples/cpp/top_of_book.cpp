// top_of_book SEGMENT SYMBOL: prints the present best bid and ask of one instrument, as one line
//   CANONICAL_SYMBOL STATE UPDATE_ID BID_PRICE BID_QTY ASK_PRICE ASK_QTY
// (what `mdp book SEGMENT SYMBOL --top` prints), with exact decimals; both fields of an empty side are "-".
// Exit code 0; 1 with a message if there is no such book; 2 for misuse.
#include <cstdio>
#include <mdp/shm/shm.hpp>
#include <string>

namespace {

std::string best(const std::vector<mdp::shm::PriceLevel>& side, const mdp::shm::InstrumentEntry& instrument) {
  if (side.empty()) return "- -";
  return mdp::shm::to_decimal(side[0].price, instrument.price_exponent) + " " +
         mdp::shm::to_decimal(side[0].quantity, instrument.quantity_exponent);
}

int fail(const char* what, const char* why) {
  std::fprintf(stderr, "top_of_book: %s: %s\n", what, why);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: top_of_book SEGMENT SYMBOL\n", stderr);
    return 2;
  }
  mdp::shm::Subscriber subscriber;
  const mdp::shm::AttachStatus attached = subscriber.open(argv[1]);
  if (attached != mdp::shm::AttachStatus::Ok) return fail(argv[1], subscriber.explain(attached).c_str());

  mdp::shm::InstrumentEntry instrument;
  if (!subscriber.find(argv[2], instrument)) return fail(argv[2], "no such instrument in the segment");

  mdp::shm::Book book;
  const mdp::shm::BookStatus read = subscriber.read_book(instrument.symbol_id, book);
  if (read != mdp::shm::BookStatus::Ok) return fail(argv[2], mdp::shm::to_string(read));

  const std::string symbol(mdp::shm::text(instrument.canonical_symbol));
  // LIVE no longer than its publisher runs.
  const mdp::shm::BookState state = subscriber.usable_state(book.entry.state);
  std::printf("%s %s %llu %s %s\n", symbol.c_str(), mdp::shm::to_string(state),
              static_cast<unsigned long long>(book.entry.update_id), best(book.bids, instrument).c_str(),
              best(book.asks, instrument).c_str());
  return 0;
}
