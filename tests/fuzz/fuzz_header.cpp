// The header of a segment, edited by the fuzzer: the input is laid over it by exclusive or, so that no input
// is a sound segment and every bit is one step away. Whatever it says, a reader stays inside the mapping.
#include <cstdint>
#include <cstring>

#include "publish/mutated_segment.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mdp::publish;
  static const auto* const original = [] {
    auto* made = new test::MemorySegment;
    test::fill_segment(**made);
    return made;
  }();
  static const test::AlignedMemory memory = test::allocate(original->size());
  auto* const bytes = static_cast<unsigned char*>(memory.get());
  std::memcpy(bytes, &original->view().header(), original->size());
  for (std::size_t i = 0; i < size && i < sizeof(mdp::shm::SegmentHeader); ++i) bytes[i] ^= data[i];
  mdp::shm::SegmentView view;
  if (mdp::shm::SegmentView::attach(bytes, original->size(), view) == mdp::shm::AttachStatus::Ok) {
    static_cast<void>(test::read_everything(view));
  }
  return 0;
}
