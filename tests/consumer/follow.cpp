// follow SEGMENT: prints every trade until the publisher ends. The README shows this program.
#include <cstdio>
#include <mdp/shm/shm.hpp>
using namespace mdp::shm;

int main(int argc, char** argv) {
  Subscriber feed;
  const AttachStatus attached = feed.open(argc > 1 ? argv[1] : "mdp");
  if (attached != AttachStatus::Ok) return std::puts(to_string(attached)), 1;
  Event event;
  InstrumentEntry of;
  ReadStatus status = ReadStatus::Empty;
  while ((status = feed.wait(event)) <= ReadStatus::Lapped) {  // sleeps while there is nothing
    if (status == ReadStatus::Lapped) std::printf("lost %llu events\n", 0ULL + feed.ring().lost_events());
    if (status != ReadStatus::Ok) continue;
    if (event.header.type != EventType::Trade || !feed.instrument(event, of)) continue;
    const std::string quantity = to_decimal(event.trade.quantity, of.quantity_exponent);
    const std::string price = to_decimal(event.trade.price, of.price_exponent);
    std::printf("%.64s %s @ %s\n", of.canonical_symbol, quantity.c_str(), price.c_str());
  }
  std::puts(to_string(status));  // stopped, dead, silent or corrupt
}
