// Readers over segments that were tampered with: refused or read, but never a step outside the mapping
// (address sanitizer watches: the memory is exactly as long as the segment) and never a hang.
#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "publish/mutated_segment.hpp"

namespace mdp::publish {
namespace {

void read_mutants(int mutants, std::uint64_t seed) {
  test::MemorySegment original;
  test::fill_segment(*original);
  const test::AlignedMemory memory = test::allocate(original.size());
  auto* bytes = static_cast<unsigned char*>(memory.get());
  std::mt19937_64 random(seed);
  int attached = 0;
  test::Seen all;
  test::Seen in_c;
  for (int mutant = 0; mutant < mutants; ++mutant) {
    std::memcpy(bytes, original.data(), original.size());
    test::mutate(bytes, original.size(), random);
    shm::SegmentView view;
    const shm::AttachStatus status = shm::SegmentView::attach(bytes, original.size(), view);
    ASSERT_EQ(test::read_everything_in_c(bytes, original.size(), in_c), static_cast<int>(status));
    if (status != shm::AttachStatus::Ok) continue;
    ++attached;
    const test::Seen seen = test::read_everything(view);
    all.sum += seen.sum;
    all.records += seen.records;
    all.books += seen.books;
    all.instruments += seen.instruments;
    all.kept += seen.kept;
    all.kept_whole += seen.kept_whole;
  }
  std::cout << mutants << " mutants: " << attached << " attached, " << all.instruments << " instruments, "
            << all.books << " books, " << all.kept << " kept (" << all.kept_whole << " whole) and "
            << all.records << " records read (sum " << all.sum << "), in C " << in_c.records
            << " records (sum " << in_c.sum << ")\n";
  // The mutations must not all stop at the header, nor at the first thing that is read.
  const auto tenth = static_cast<std::uint64_t>(mutants / 10);
  EXPECT_GT(static_cast<std::uint64_t>(attached), tenth);
  EXPECT_GT(all.instruments, tenth);
  EXPECT_GT(all.books, tenth);
  EXPECT_GT(all.records, tenth);
  EXPECT_GT(all.kept, tenth);
  EXPECT_GT(all.kept_whole, tenth);
  // What both read of such a segment is the same; c_reader_test.cpp compares event by event.
  EXPECT_EQ(in_c.instruments, all.instruments);
  EXPECT_EQ(in_c.books, all.books);
  EXPECT_EQ(in_c.records, all.records);
}

TEST(Mutation, CorruptSegmentsAreRefusedOrReadWithoutHarm) { read_mutants(4000, 4711); }

TEST(Stress, MutatedSegmentsAreRefusedOrReadWithoutHarm) { read_mutants(50'000, 20261122); }

}  // namespace
}  // namespace mdp::publish
