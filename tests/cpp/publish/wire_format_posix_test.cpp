// The document against the code: a reader written from docs/wire-format.md alone, in Python, reads the same.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string>

#include "mdp/publish/ipc_publisher.hpp"
#include "publish/test_segment.hpp"

namespace mdp::publish {
namespace {

// Output of a command; `exit_code` is its wait status.
std::string output_of(const std::string& command, int& exit_code) {
  std::string out;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  std::array<char, 4096> chunk;
  for (std::size_t got; (got = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
    out.append(chunk.data(), got);
  exit_code = ::pclose(pipe);
  return out;
}

TEST(WireFormat, ReaderWrittenFromTheDocumentReadsTheSame) {
  int exit_code = 0;
  output_of("python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'", exit_code);
  if (exit_code != 0) GTEST_SKIP() << "no python3 of 3.10 or newer";

  constexpr std::size_t kMaxLevels = 40;
  SegmentConfig config = test::small_config();
  config.name = test::unique_name();
  SegmentWriter segment(config);
  IPCPublisher publisher(segment);
  segment.directory().set_venue(7, "some_venue");
  core::Instrument instrument;
  instrument.symbol_id = 1;
  instrument.exchange_id = 7;
  instrument.canonical_symbol = "some:BTC-USDT";
  segment.directory().set_instrument(instrument);
  shm::Event event;
  for (std::uint64_t n = 0; n < 500; ++n) {
    test::fill_event(event, n, kMaxLevels);
    publisher.publish(event);
  }
  event.header = {};
  event.header.type = shm::EventType::BookSnapshot;
  event.header.flags = core::kFlagTableOnly;
  event.header.symbol_id = 1;
  event.header.update_id = 77;
  event.header.bid_count = 2;
  event.header.ask_count = 1;
  event.levels[0] = {100, 5};
  event.levels[1] = {99, 6};
  event.levels[2] = {-101, 7};
  publisher.publish(event);
  publisher.stop();

  std::ostringstream expected;
  expected << "{\"venues\": {\"7\": \"some_venue\"}, \"state\": 2, \"pid\": " << ::getpid()
           << ", \"ring_bytes\": 65536}\n"
           << "{\"instrument\": \"some:BTC-USDT\", \"state\": \"STALE\", \"update_id\": 77, "
              "\"bids\": [[100, 5], [99, 6]], \"asks\": [[-101, 7]], \"next_sequence\": 500}\n";
  shm::RingReader reader(segment.view(), shm::Start::Oldest);
  ASSERT_GT(reader.next_sequence(), 0U) << "the ring must have been lapped";
  while (reader.poll(event) == shm::ReadStatus::Ok) {
    std::int64_t mixed = 0;
    for (std::size_t i = 0; i < std::size_t{event.header.bid_count} + event.header.ask_count; ++i) {
      mixed ^= event.levels[i].price ^ event.levels[i].quantity;
    }
    expected << "{\"sequence\": " << event.header.sequence
             << ", \"type\": \"book_delta\", \"symbol_id\": " << event.header.symbol_id
             << ", \"update_id\": " << event.header.update_id << ", \"size\": " << event.header.size_bytes()
             << ", \"xor\": " << mixed << "}\n";
  }
  const std::string script =
      (std::filesystem::path(MDP_TEST_DATA).parent_path() / "python/wire_format_reader.py").string();
  const std::string found = output_of("python3 '" + script + "' " + config.name, exit_code);
  EXPECT_EQ(exit_code, 0);
  EXPECT_EQ(found, expected.str());
}

}  // namespace
}  // namespace mdp::publish
