// follow SEGMENT: prints every trade until the publisher ends. The README shows this program.
#include <cstdio>
#include <mdp/shm/shm.hpp>
using namespace mdp::shm;

int main(int argc, char** argv) {
  Subscriber feed;
  if (const auto status = feed.open(argc > 1 ? argv[1] : "mdp"); status != AttachStatus::Ok)
    return std::puts(to_string(status)), 1;
  InstrumentEntry of;
  for (Event event;;) {
    const ReadStatus status = feed.wait(event);  // Wait::Spin, Wait::Yield or, as here, Wait::Sleep
    if (status == ReadStatus::Ok && event.header.type == EventType::Trade && feed.instrument(event, of)) {
      std::printf("%.64s %s @ %s\n", of.canonical_symbol,
                  to_decimal(event.trade.quantity, of.quantity_exponent).c_str(),
                  to_decimal(event.trade.price, of.price_exponent).c_str());
    }
    if (status == ReadStatus::Lapped) std::printf("lost %llu events\n", 0ULL + feed.ring().lost_events());
    if (status == ReadStatus::PublisherStale)
      std::puts(to_string(status));  // it may go on
    else if (status > ReadStatus::Lapped)
      return std::puts(to_string(status)), 0;  // stopped, dead or corrupt
  }
}
