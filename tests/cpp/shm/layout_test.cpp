// What readers check before they trust a segment: names, header, seqlock; and decimal text.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "mdp/shm/shm.hpp"

namespace mdp::shm {
namespace {

// A header that attach() accepts, in memory of exactly its size.
class RawSegment {
 public:
  static constexpr std::size_t kTable = 12288;
  static constexpr std::size_t kSize = 4096 + 4096 + 4096 + 4096 + kMinRingBytes;

  RawSegment() : memory_(new Page[kSize / sizeof(Page)]()) {
    SegmentInfo& info = this->info();
    info.layout_version = kLayoutVersion;
    info.header_size = kHeaderBytes;
    info.total_size = kSize;
    info.checkpoints = {kHeaderBytes, kCheckpointCount * sizeof(Word)};
    info.venues = {4096, 2048};
    info.index = {4096 + 2048, 256};
    info.instruments = {8192, 4096};
    info.table = {kTable, 4096};
    info.ring = {16384, kMinRingBytes};
    info.venue_stride = 64;
    info.venue_capacity = 4;
    info.instrument_stride = 512;
    info.instrument_capacity = 4;
    info.table_stride = book_entry_stride(20);
    info.levels_per_side = 20;
    info.levels_offset = sizeof(BookEntry);
    info.checkpoint_count = kCheckpointCount;
    info.max_record_bytes = kMaxRecordBytes;
    info.magic = kMagic;
  }
  SegmentInfo& info() { return *reinterpret_cast<SegmentInfo*>(memory_.get()); }
  void* data() { return memory_.get(); }
  AttachStatus attach() { return SegmentView::attach(data(), kSize, view_); }
  const SegmentView& view() const { return view_; }

 private:
  struct alignas(4096) Page {
    unsigned char bytes[4096];
  };
  std::unique_ptr<Page[]> memory_;
  SegmentView view_;
};

TEST(SegmentName, AcceptsPlainNames) {
  for (const char* name : {"mdp", "a", "binance-spot_1.v2", "A.b"})
    EXPECT_TRUE(valid_segment_name(name)) << name;
  EXPECT_TRUE(valid_segment_name(std::string(200, 'x')));
}

TEST(SegmentName, RefusesPathsAndOddities) {
  using std::string_literals::operator""s;
  for (const std::string& name : {""s, "."s, ".."s, ".hidden"s, "/mdp"s, "a/b"s, "../etc/passwd"s, "a b"s,
                                  "a\n"s, "a\0b"s, "\xC3\xA9"s, std::string(201, 'x')}) {
    EXPECT_FALSE(valid_segment_name(name)) << name;
    EXPECT_EQ(Mapping().open(name), AttachStatus::BadName) << name;
  }
}

TEST(Mapping, MissingSegmentIsNotFound) {
  EXPECT_EQ(Mapping().open("mdp-test-that-nobody-makes"), AttachStatus::NotFound);
}

TEST(SegmentView, AcceptsAWellFormedHeader) {
  RawSegment segment;
  ASSERT_EQ(segment.attach(), AttachStatus::Ok);
  EXPECT_EQ(segment.view().info().instrument_capacity, 4U);
  EXPECT_EQ(segment.view().ring_bytes(), kMinRingBytes);
}

TEST(SegmentView, UnformattedMemoryIsNotReady) {
  RawSegment segment;
  segment.info().magic = 0;
  EXPECT_EQ(segment.attach(), AttachStatus::NotReady);
  SegmentView view;
  EXPECT_EQ(SegmentView::attach(segment.data(), 512, view), AttachStatus::NotReady);
  EXPECT_EQ(SegmentView::attach(nullptr, 0, view), AttachStatus::NotReady);
  EXPECT_FALSE(view.attached());
}

TEST(SegmentView, ForeignMemoryIsNotASegment) {
  RawSegment segment;
  segment.info().magic = kMagic ^ 1;
  EXPECT_EQ(segment.attach(), AttachStatus::NotASegment);
}

TEST(SegmentView, AnotherLayoutVersionIsRefused) {
  RawSegment segment;
  segment.info().layout_version = kLayoutVersion + 1;
  EXPECT_EQ(segment.attach(), AttachStatus::WrongVersion);
}

TEST(SegmentView, ARequiredFeatureThatIsNotKnownIsRefused) {
  RawSegment segment;
  segment.info().required_features = 1ULL << 63;
  EXPECT_EQ(segment.attach(), AttachStatus::WrongVersion);
}

TEST(SegmentView, AGreaterMinorVersionAndOptionalFeaturesAreRead) {
  RawSegment segment;
  segment.info().minor_version = 9;
  segment.info().optional_features = ~std::uint64_t{0};
  segment.info().reserved[3] = 1;
  EXPECT_EQ(segment.attach(), AttachStatus::Ok);
}

TEST(SegmentView, RefusesSectionsThatLeaveTheMapping) {
  constexpr std::uint64_t kHuge = ~std::uint64_t{0} & ~std::uint64_t{63};
  using Edit = void (*)(SegmentInfo&);
  const Edit edits[] = {
      [](SegmentInfo& i) { i.total_size = RawSegment::kSize + 1; },
      [](SegmentInfo& i) { i.header_size = 512; },
      [](SegmentInfo& i) { i.header_size = 0xFFFF'FFC0; },
      [](SegmentInfo& i) { i.venues.offset = kHuge; },
      [](SegmentInfo& i) { i.venues.offset += 1; },
      [](SegmentInfo& i) { i.venues.offset = 0; },
      [](SegmentInfo& i) { i.instruments.size_bytes = kHuge; },
      [](SegmentInfo& i) { i.table.offset = RawSegment::kSize; },
      [](SegmentInfo& i) { i.instrument_capacity = 0xFFFF'FFFF; },
      [](SegmentInfo& i) { i.instrument_stride = 0; },
      [](SegmentInfo& i) { i.venue_stride = 32; },
      [](SegmentInfo& i) { i.table_stride = 0xFFFF'FFC0; },
      [](SegmentInfo& i) { i.table_stride -= 64; },
      [](SegmentInfo& i) { i.levels_per_side = 0; },
      [](SegmentInfo& i) { i.levels_per_side = 0x1000'0000; },
      [](SegmentInfo& i) { i.ring.size_bytes = 0; },
      [](SegmentInfo& i) { i.ring.size_bytes = kMinRingBytes - 64; },
      [](SegmentInfo& i) { i.ring.size_bytes = 2 * kMinRingBytes; },
      [](SegmentInfo& i) { i.ring.size_bytes = 1ULL << 63; },
      [](SegmentInfo& i) { i.checkpoint_count = 65; },
      [](SegmentInfo& i) { i.checkpoint_count = 0; },
      [](SegmentInfo& i) { i.checkpoint_count = 2048; },
      [](SegmentInfo& i) { i.checkpoints.offset = RawSegment::kSize - 64; },
      [](SegmentInfo& i) { i.index.size_bytes = 0; },
      [](SegmentInfo& i) { i.index.size_bytes = 192; },
      [](SegmentInfo& i) { i.index.offset = kHuge; },
      [](SegmentInfo& i) { i.instrument_stride = 256; },
      [](SegmentInfo& i) { i.levels_offset = 64; },
      [](SegmentInfo& i) { i.levels_offset = 0xFFFF'FFC0; },
      [](SegmentInfo& i) { i.levels_offset += 64; },
      [](SegmentInfo& i) { i.max_record_bytes = kMaxRecordBytes + 64; },
  };
  for (std::size_t i = 0; i < std::size(edits); ++i) {
    RawSegment segment;
    edits[i](segment.info());
    EXPECT_EQ(segment.attach(), AttachStatus::Corrupt) << "edit " << i;
  }
}

TEST(Seqlock, WriterThatDiedInsideIsBusyAndNotAHang) {
  RawSegment segment;
  ASSERT_EQ(segment.attach(), AttachStatus::Ok);
  word_at(static_cast<unsigned char*>(segment.data()) + RawSegment::kTable).store(7);
  Book book;
  EXPECT_EQ(BookTable(segment.view()).read(0, book), BookStatus::Busy);
  EXPECT_TRUE(book.bids.empty());
}

TEST(BookTable, RefusesIdsAndCountsBeyondItsRoom) {
  RawSegment segment;
  ASSERT_EQ(segment.attach(), AttachStatus::Ok);
  const BookTable table(segment.view());
  Book book;
  EXPECT_EQ(table.read(0, book), BookStatus::Ok);
  EXPECT_EQ(table.read(4, book), BookStatus::NoInstrument);
  EXPECT_EQ(table.read(kNoSymbol, book), BookStatus::NoInstrument);
  auto* entry =
      reinterpret_cast<BookEntry*>(static_cast<unsigned char*>(segment.data()) + RawSegment::kTable);
  entry->ask_count = 21;
  EXPECT_EQ(table.read(0, book), BookStatus::Corrupt);
  EXPECT_EQ(BookTable().read(0, book), BookStatus::NoInstrument);
}

TEST(Directory, CountsBeyondTheCapacityAreCapped) {
  RawSegment segment;
  ASSERT_EQ(segment.attach(), AttachStatus::Ok);
  auto* header = static_cast<SegmentHeader*>(segment.data());
  header->instrument_count = ~0ULL;
  header->venue_count = 1ULL << 40;
  const Directory directory(segment.view());
  EXPECT_EQ(directory.instrument_count(), 4U);
  EXPECT_EQ(directory.venue_count(), 4U);
  InstrumentEntry entry;
  EXPECT_FALSE(directory.find("BTCUSDT", entry));
}

TEST(RingReader, WithoutASegmentSaysSo) {
  RingReader reader;
  Event event;
  EXPECT_EQ(reader.poll(event), ReadStatus::NotAttached);
  EXPECT_EQ(reader.lag_bytes(), 0U);
}

TEST(Decimal, IsExactAndPlain) {
  EXPECT_EQ(to_decimal(0, -8), "0");
  EXPECT_EQ(to_decimal(123400, -4), "12.34");
  EXPECT_EQ(to_decimal(5, -8), "0.00000005");
  EXPECT_EQ(to_decimal(-5, -1), "-0.5");
  EXPECT_EQ(to_decimal(1000, -3), "1");
  EXPECT_EQ(to_decimal(1000, 0), "1000");
  EXPECT_EQ(to_decimal(5, 2), "500");
  EXPECT_EQ(to_decimal(2, -11), "0.00000000002");
  EXPECT_EQ(to_decimal(std::numeric_limits<std::int64_t>::min(), -18), "-9.223372036854775808");
  EXPECT_EQ(to_decimal(std::numeric_limits<std::int64_t>::max(), 0), "9223372036854775807");
}

}  // namespace
}  // namespace mdp::shm
