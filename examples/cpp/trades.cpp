// trades SEGMENT: prints every trade until the publisher ends. The README shows this program.
#include <cstdio>
#include <mdp/shm/shm.hpp>
using namespace mdp::shm;

int main(int argc, char** argv) {
  Subscriber feed;
  const AttachStatus attached = feed.open(argc > 1 ? argv[1] : "mdp");
  if (attached != AttachStatus::Ok) return std::puts(feed.explain(attached).c_str()), 1;
  Event event;
  InstrumentEntry of;
  ReadStatus status;
  while (!ended(status = feed.wait(event))) {  // sleeps while there is nothing
    if (status == ReadStatus::Lapped) std::printf("lost %llu events\n", 0ULL + feed.ring().lost_events());
    if (status != ReadStatus::Ok) continue;
    const TradeBody* trade = event.get_if<TradeBody>();
    if (trade == nullptr || !feed.instrument(event, of)) continue;
    const std::string quantity = to_decimal(trade->quantity, of.quantity_exponent);
    const std::string price = to_decimal(trade->price, of.price_exponent);
    std::printf("%.96s %s %s @ %s\n", of.canonical_symbol, to_string(trade->side), quantity.c_str(),
                price.c_str());
  }
  std::puts(to_string(status));  // stopped, dead or corrupt; feed.reattach() finds a successor
}
