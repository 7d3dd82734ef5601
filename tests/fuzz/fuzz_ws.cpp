// The bytes of a WebSocket server, whatever they are and however they are cut: WsReader tells what a second,
// simple reading of all of them at once tells, keeps what it handed over, and loses no buffer.
//
// The first 8 bytes choose buffers, stage and cuts. An odd first one lets the rest be the bytes themselves;
// an even one lets each three of the rest describe a frame, so that long and well-formed ones come often.
#include <random>

#include "fuzz_check.hpp"
#include "net/ws_encode.hpp"
#include "net/ws_reference.hpp"

namespace {

std::string wire_of(const std::uint8_t* data, std::size_t size, bool described) {
  if (!described) return {reinterpret_cast<const char*>(data), size};
  std::string wire;
  for (; size >= 3 && wire.size() < 70'000; data += 3, size -= 3) {
    const std::size_t bytes = (data[0] & 8U) != 0 ? data[1] % 128U : data[1] * 258U;
    const std::string payload(bytes, static_cast<char>(data[2]));
    wire += mdp::net::test::encode_frame(data[0] & 0x7F, payload, data[0] >= 0x80);
  }
  return wire.append(reinterpret_cast<const char*>(data), size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdp::net;
  if (size < 8) return 0;
  const std::string wire = wire_of(data + 8, size - 8, data[0] % 2 == 0);
  FramePoolOptions options;
  options.release_from = ReleaseFrom::SameThread;
  options.frame_count = 1 + data[1] % 4U;
  options.frame_bytes = 1 + data[2] * 16U;
  options.max_frame_bytes = options.frame_bytes + data[3] * 500U;
  const std::size_t stage_bytes = data[4] == 0 ? 20 * 1024 : WsReader::kMinStageBytes + data[4] * 8U;
  // Byte by byte only where that is soon done.
  const std::size_t longest = 1 + wire.size() / 1'000 + (data[5] < 128 ? data[5] : data[5] * 100U);
  std::minstd_rand random(1 + data[6] * 256U + data[7]);
  test::WsFeeder feeder(options, stage_bytes);
  const auto told = feeder.read(wire, [&](std::size_t) { return 1 + random() % longest; });
  MDP_FUZZ_CHECK(told == test::read_at_once(wire, options.max_frame_bytes));
  MDP_FUZZ_CHECK(feeder.all_back());
  MDP_FUZZ_CHECK(feeder.faults == 0);
  return 0;
}
