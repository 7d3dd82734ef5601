// No allocation per frame once connected (DESIGN.md, promise 4), with operator new counted on the loop
// thread; and what happens where it fails.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "mdp/net/ws_reader.hpp"
#include "net/line_recorder.hpp"

namespace {
// Only between the marks the handler sets, on the thread that sets them.
thread_local bool t_counting = false;
thread_local std::size_t t_allocations = 0;
thread_local bool t_no_memory = false;

void* counted_allocate(std::size_t bytes) {
  if (t_counting) ++t_allocations;
  if (t_no_memory) return nullptr;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
}  // namespace

// Not inlined: else the compiler sees malloc on one side, operator delete on the other, and warns.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  if (void* memory = counted_allocate(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted_allocate(bytes);
}
[[gnu::noinline]] void* operator new[](std::size_t bytes) { return operator new(bytes); }
[[gnu::noinline]] void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return counted_allocate(bytes);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace mdp::net::test {
namespace {

class CountingHandler : public LineHandler {
 public:
  static constexpr int kWarmUp = 2'000;
  static constexpr int kMeasured = 20'000;

  void on_frame(const core::RawMessage& frame) noexcept override {
    connector->release(frame);
    // relaxed: only this thread writes it; partner is the test's load, which needs no more than the number.
    const int count = frames.load(std::memory_order_relaxed) + 1;
    if (count == kWarmUp) t_counting = true;
    if (count == kWarmUp + kMeasured) {
      t_counting = false;
      allocations = t_allocations;
    }
    // release: publishes `allocations`; pairs with the acquire load in the test.
    frames.store(count, std::memory_order_release);
  }
  void on_line_state(shm::LineState, LineReason, std::string_view) noexcept override {}
  Requests on_up(core::ConnectionId) override { return {}; }

  std::atomic<int> frames{0};
  std::size_t allocations = ~std::size_t{0};
  ExchangeConnector* connector = nullptr;
};

class Allocation : public testing::TestWithParam<queue::IdleMode> {};

TEST_P(Allocation, NonePerFrameAfterWarmUp) {
  FakeServer server([](Connection& connection) {
    if (!connection.accept_websocket()) return;
    // Bursts and single frames, large and small ones, and pings in between.
    for (int i = 0; i < CountingHandler::kWarmUp + CountingHandler::kMeasured; i += 10) {
      std::string burst;
      for (int j = 0; j < 10; ++j) {
        const std::size_t bytes = j == 9 ? 40'000 : static_cast<std::size_t>(200 + j);
        if (j != 5) burst += Connection::encode(1, std::string(bytes, 'x'));
        if (j == 5) connection.write(std::exchange(burst, {}) + Connection::encode(1, "alone"));
      }
      if (i % 100 == 0) burst += Connection::encode(9, "ping");
      if (!connection.write(burst)) return;
      // A pause now and then, so that the line also waits for bytes: the pong is one, from our side.
      while (i % 100 == 0) {
        const auto frame = connection.read_frame();
        if (!frame) return;
        if (frame->opcode == 10) break;
      }
    }
    connection.read_until_closed();
  });
  CountingHandler handler;
  IoLoop loop;
  ExchangeConnector connector(loop, quick_options(server.ws_url()), handler);
  handler.connector = &connector;
  connector.connect();
  std::thread thread([&] { connector.run(GetParam()); });
  // acquire: pairs with the release store in on_frame().
  EXPECT_TRUE(eventually([&] {
    return handler.frames.load(std::memory_order_acquire) ==
           CountingHandler::kWarmUp + CountingHandler::kMeasured;
  }));
  EXPECT_EQ(handler.allocations, 0u);
  loop.stop();
  thread.join();
}

TEST(WsReader, NoMemoryForALongerFrameIsNamedAndLosesNothing) {
  FramePool pool({1, 16, 1'000, ReleaseFrom::SameThread});
  core::Counter grown;
  WsReader reader(pool, grown, 1'000);
  const std::string wire = encode_frame(1, std::string(100, 'x'));
  std::memcpy(reader.room().data(), wire.data(), wire.size());
  reader.took(wire.size());
  core::RawMessage told{};
  t_no_memory = true;
  const WsReader::Event event = reader.next(told);
  t_no_memory = false;
  ASSERT_EQ(event, WsReader::Event::Error);
  EXPECT_EQ(reader.error(), WsStatus::OutOfMemory);
  EXPECT_EQ(reader.message_bytes(), 16u);
  ASSERT_EQ(reader.next(told), WsReader::Event::Message);
  EXPECT_EQ(told.text(), std::string(100, 'x'));
}

INSTANTIATE_TEST_SUITE_P(Modes, Allocation, testing::Values(queue::IdleMode::Park, queue::IdleMode::Spin),
                         [](const auto& param) { return std::string(queue::to_string(param.param)); });

}  // namespace
}  // namespace mdp::net::test
