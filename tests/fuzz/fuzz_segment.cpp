// Readers over a segment that the fuzzer edits: no step outside it, no hang, whatever it holds.
//
// The input is a list of edits of a sound segment, so that the fuzzer spends its time behind the magic: 4
// bytes where (modulo the size, in whole words where bit 31 is set), 1 byte how many (1 to 8), then that many
// bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "publish/mutated_segment.hpp"

namespace {

using namespace mdp::publish;

const test::MemorySegment& original() {
  static const test::MemorySegment* segment = [] {
    auto* made = new test::MemorySegment;
    test::fill_segment(**made);
    return made;
  }();
  return *segment;
}

void apply(unsigned char* bytes, std::size_t size, const std::uint8_t* edits, std::size_t left) {
  while (left > 5) {
    std::uint32_t where = 0;
    std::memcpy(&where, edits, sizeof(where));
    std::size_t count = 1 + edits[4] % 8U;
    edits += 5;
    left -= 5;
    std::size_t at = (where & 0x7FFF'FFFFU) % size;
    if ((where >> 31) != 0) at = at / 8 * 8;
    if (count > left) count = left;
    if (count > size - at) count = size - at;
    std::memcpy(bytes + at, edits, count);
    edits += count;
    left -= count;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::AlignedMemory memory = test::allocate(original().size());
  auto* bytes = static_cast<unsigned char*>(memory.get());
  // MemorySegment is not const-correct about its memory, which nobody writes here.
  std::memcpy(bytes, &original().view().header(), original().size());
  apply(bytes, original().size(), data, size);
  mdp::shm::SegmentView view;
  const auto status = mdp::shm::SegmentView::attach(bytes, original().size(), view);
  if (status == mdp::shm::AttachStatus::Ok) static_cast<void>(test::read_everything(view));
  test::Seen in_c;
  if (test::read_everything_in_c(bytes, original().size(), in_c) != static_cast<int>(status)) std::abort();
  return 0;
}
