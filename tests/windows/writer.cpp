// A publisher as a process of its own; reader.cpp starts it. writer NAME [EVENTS]
//
// Publishes events that prove themselves until the segment holds EVENTS of them (then stops in order) or it
// is killed. Exit code 3: the name is owned, and the reason stands on stdout.
#include <windows.h>  // before ours; reader.cpp has it behind

#include <cstdio>
#include <cstdlib>
#include <string>

#include "mdp/core/error.hpp"
#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

int main(int argc, char** argv) {
  using namespace mdp;
  if (argc < 2) return 2;
  const std::uint64_t events = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : ~std::uint64_t{0};
  try {
    publish::SegmentConfig config = publish::test::small_config();
    config.name = argv[1];
    config.lock_memory = true;
    publish::SegmentWriter segment(config);
    segment.directory().set_instrument(publish::test::btc(0));
    publish::IPCPublisher publisher(segment);
    shm::Event event;
    for (std::uint64_t n = 0; n < events; ++n) {
      publish::test::fill_event(event, n, 64);
      publisher.publish(event);
      event.header.type = shm::EventType::BookSnapshot;
      event.header.flags = core::kFlagTableOnly;
      event.header.symbol_id = 0;
      event.header.bid_count = event.header.ask_count = 8;
      for (int i = 0; i < 16; ++i)
        event.levels[i] = {static_cast<std::int64_t>(n), static_cast<std::int64_t>(n)};
      publisher.publish(event);
    }
    publisher.stop();
    // Ends in order when the one who started it says so, so that the end can be read before the segment is
    // gone.
    std::getchar();
  } catch (const SegmentError& error) {
    std::puts(error.what());
    return 3;
  }
  return 0;
}
