// The shared memory: what a record costs the writer and a reader, and what a book costs either.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "mdp/publish/segment_writer.hpp"
#include "mdp/shm/shm.hpp"

namespace {

using namespace mdp;

class Segment {
 public:
  explicit Segment(std::uint32_t instruments = 64) {
    publish::SegmentConfig config;
    config.ring = 16 << 20;
    config.instruments = instruments;
    config.levels = 20;
    const std::size_t bytes = publish::segment_size_bytes(config);
    memory_.reset(::operator new(bytes, std::align_val_t{4096}));
    std::memset(memory_.get(), 0, bytes);
    writer_ = std::make_unique<publish::SegmentWriter>(config, memory_.get(), bytes);
  }
  publish::SegmentWriter& operator*() { return *writer_; }
  publish::SegmentWriter* operator->() { return writer_.get(); }

 private:
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{4096}); }
  };
  std::unique_ptr<void, Free> memory_;
  std::unique_ptr<publish::SegmentWriter> writer_;
};

shm::Event event_of(std::int64_t record_bytes) {
  shm::Event event{};
  const auto levels = static_cast<std::uint16_t>((record_bytes - 64) / 16);
  event.header.type = levels == 0 ? shm::EventType::Instrument : shm::EventType::BookDelta;
  event.header.bid_count = levels == 0 ? std::uint16_t{0} : levels;
  for (int i = 0; i < levels; ++i) event.levels[i] = {100 - i, i + 1};
  return event;
}

// Find one of so many instruments, each in turn, by its canonical symbol.
void BM_Directory_Find(benchmark::State& state) {
  const auto count = static_cast<std::uint32_t>(state.range(0));
  Segment segment(count);
  std::vector<std::string> symbols;
  for (std::uint32_t id = 0; id < count; ++id) {
    core::Instrument instrument;
    instrument.symbol_id = id;
    instrument.venue_symbol = "SYMBOL" + std::to_string(id);
    instrument.canonical_symbol = "venue:" + instrument.venue_symbol;
    symbols.push_back(instrument.canonical_symbol);
    segment->directory().set_instrument(instrument);
  }
  const shm::Directory directory(segment->view());
  shm::InstrumentEntry entry;
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(directory.find(symbols[next], entry));
    next = (next + 7919) % symbols.size();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Directory_Find)->ArgName("instruments")->Arg(64)->Arg(10'000);

// Append and commit one record, without readers (bench_ring_readers has what they cost).
void BM_RingWriter_Commit(benchmark::State& state) {
  Segment segment;
  const shm::Event event = event_of(state.range(0));
  const std::size_t body = sizeof(shm::PriceLevel) * event.header.bid_count;
  for (auto _ : state) {
    segment->ring().append(event.header, event.levels, body);
    segment->ring().commit();
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RingWriter_Commit)->ArgName("bytes")->Arg(64)->Arg(640);

// A reader that finds everything there: the cost of copying and checking a record.
void BM_RingReader_Poll(benchmark::State& state) {
  Segment segment;
  const shm::Event event = event_of(state.range(0));
  const std::size_t body = sizeof(shm::PriceLevel) * event.header.bid_count;
  while (segment->ring().position() < (8 << 20)) segment->ring().append(event.header, event.levels, body);
  segment->ring().commit();
  shm::RingReader reader(segment->view(), shm::Start::Oldest);
  const std::uint64_t begin = reader.position();
  const std::uint64_t sequence = reader.next_sequence();
  shm::Event out;
  for (auto _ : state) {
    if (reader.poll(out) != shm::ReadStatus::Ok) reader.start_at(begin, sequence);
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RingReader_Poll)->ArgName("bytes")->Arg(64)->Arg(640);

// One book of the table, all of its levels.
void BM_BookTable_Read(benchmark::State& state) {
  Segment segment;
  shm::Event event{};
  event.header.type = shm::EventType::BookSnapshot;
  event.header.bid_count = event.header.ask_count = 20;
  for (int i = 0; i < 40; ++i) event.levels[i] = {100 + i, i + 1};
  segment->table().write_book(event, 1, {0, 0});
  const shm::BookTable table(segment->view());
  shm::Book book;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.read(0, book));
    benchmark::DoNotOptimize(book.bids.data());
  }
}
BENCHMARK(BM_BookTable_Read);

// The same bytes by memcpy(): what copying them cannot cost less than.
void BM_BookTable_ReadPlainCopy(benchmark::State& state) {
  alignas(64) unsigned char from[64 + 40 * sizeof(shm::PriceLevel)] = {};
  alignas(64) unsigned char to[sizeof(from)];
  for (auto _ : state) {
    benchmark::DoNotOptimize(from);
    std::memcpy(to, from, sizeof(from));
    benchmark::DoNotOptimize(to);
  }
}
BENCHMARK(BM_BookTable_ReadPlainCopy);

// The writer's side of it.
void BM_TableWriter_WriteBook(benchmark::State& state) {
  Segment segment;
  shm::Event event{};
  event.header.type = shm::EventType::BookSnapshot;
  event.header.bid_count = event.header.ask_count = 20;
  for (auto _ : state) benchmark::DoNotOptimize(segment->table().write_book(event, 1, {0, 0}));
}
BENCHMARK(BM_TableWriter_WriteBook);

}  // namespace
