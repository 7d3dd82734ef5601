#include "mdp/core/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace mdp::core {
namespace {

TEST(LatencyHistogram, EmptyAnswersZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_EQ(histogram.mean_ns(), 0.0);
}

TEST(LatencyHistogram, BucketsCoverEveryValueInOrderAndToOneIn32) {
  std::uint64_t value = 0;
  for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    const std::uint64_t highest = LatencyHistogram::highest_in(bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(value), bucket);
    ASSERT_EQ(LatencyHistogram::bucket_of(highest), bucket);
    ASSERT_LE((highest - value) * 32, highest) << "bucket " << bucket;
    value = highest + 1;
  }
  EXPECT_EQ(value, std::uint64_t{1} << 63);
}

TEST(LatencyHistogram, PercentilesAreWithinOneIn32) {
  LatencyHistogram histogram;
  for (std::int64_t i = 1; i <= 100'000; ++i) histogram.record(i);
  EXPECT_EQ(histogram.count(), 100'000U);
  EXPECT_EQ(histogram.max_ns(), 100'000U);
  EXPECT_DOUBLE_EQ(histogram.mean_ns(), 50'000.5);
  for (const double percent : {1.0, 50.0, 90.0, 99.0, 99.9}) {
    const double exact = percent * 1000;
    EXPECT_GE(static_cast<double>(histogram.percentile(percent)), exact);
    EXPECT_LE(static_cast<double>(histogram.percentile(percent)), exact * (1 + 1.0 / 32));
  }
  EXPECT_EQ(histogram.percentile(100), 100'000U);
  EXPECT_EQ(histogram.percentile(0), 1U);
}

TEST(LatencyHistogram, ExtremesHaveABucket) {
  LatencyHistogram histogram;
  histogram.record(-5);
  histogram.record(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(histogram.percentile(50), 0U);
  EXPECT_EQ(histogram.percentile(100), static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
}

TEST(LatencyHistogram, AddJoinsTwo) {
  LatencyHistogram a;
  LatencyHistogram b;
  a.record(10);
  b.record(20);
  b.record(30);
  a.add(b);
  EXPECT_EQ(a.count(), 3U);
  EXPECT_EQ(a.max_ns(), 30U);
  EXPECT_EQ(a.percentile(50), 20U);
}

}  // namespace
}  // namespace mdp::core
