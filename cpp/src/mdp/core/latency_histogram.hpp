// LatencyHistogram: a distribution of durations in fixed memory, exact to 1/32 of each value.
//
// Log-linear buckets: 32 to every power of two, as in HdrHistogram. One thread records; any thread reads,
// while it goes on, and sees a moment's state.
#pragma once

#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace mdp::core {

class LatencyHistogram {
 public:
  static constexpr int kSubBucketBits = 5;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;
  // Values below 32 have a bucket each, then 32 buckets for each of the powers of two 2^5 .. 2^62.
  static constexpr std::size_t kBuckets = kSubBuckets * (63 - kSubBucketBits + 1);

  // The recording thread. Nanoseconds; a negative value (two clocks that disagree) counts as 0.
  void record(std::int64_t value_ns) noexcept;

  // Any thread, all below.
  std::uint64_t count() const noexcept { return load(count_); }
  std::uint64_t max_ns() const noexcept { return load(max_); }
  double mean_ns() const noexcept {
    return count() == 0 ? 0.0 : static_cast<double>(load(sum_)) / static_cast<double>(count());
  }

  // The value that `percent` (0 to 100) of the recorded ones do not exceed, at most 1/32 above the true one
  // and never above max_ns(); 0 if there is none.
  std::uint64_t percentile(double percent) const noexcept;

  // Adds the counts of `other` to this one. The recording thread of this one.
  void add(const LatencyHistogram& other) noexcept;

  // The bucket of a value, and the largest value of a bucket.
  static std::size_t bucket_of(std::uint64_t value) noexcept;
  static std::uint64_t highest_in(std::size_t bucket) noexcept;

 private:
  // relaxed, both: statistics that order nothing; a reader may see counts of different moments. One thread
  // writes, so a load and a store make an increment.
  static std::uint64_t load(const std::atomic<std::uint64_t>& word) noexcept {
    return word.load(std::memory_order_relaxed);
  }
  static void store(std::atomic<std::uint64_t>& word, std::uint64_t value) noexcept {
    word.store(value, std::memory_order_relaxed);
  }
  void raise_max(std::uint64_t value) noexcept {
    if (value > load(max_)) store(max_, value);
  }

  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> sum_{0};
  std::atomic<std::uint64_t> max_{0};
  std::atomic<std::uint64_t> buckets_[kBuckets]{};
};

inline std::size_t LatencyHistogram::bucket_of(std::uint64_t value) noexcept {
  if (value < kSubBuckets) return static_cast<std::size_t>(value);
  const int exponent = static_cast<int>(std::bit_width(value)) - 1;  // at least kSubBucketBits
  const int shift = exponent - kSubBucketBits;                       // a bucket is 2^shift wide
  return (static_cast<std::size_t>(shift) << kSubBucketBits) + static_cast<std::size_t>(value >> shift);
}

inline std::uint64_t LatencyHistogram::highest_in(std::size_t bucket) noexcept {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = (bucket >> kSubBucketBits) - 1;
  const std::uint64_t first = static_cast<std::uint64_t>(bucket - (shift << kSubBucketBits)) << shift;
  return first + (std::uint64_t{1} << shift) - 1;
}

inline void LatencyHistogram::record(std::int64_t value_ns) noexcept {
  const std::uint64_t value = value_ns > 0 ? static_cast<std::uint64_t>(value_ns) : 0;
  std::atomic<std::uint64_t>& bucket = buckets_[bucket_of(value)];
  store(bucket, load(bucket) + 1);
  store(sum_, load(sum_) + value);
  store(count_, load(count_) + 1);
  raise_max(value);
}

inline std::uint64_t LatencyHistogram::percentile(double percent) const noexcept {
  // Counted from the buckets, not from count_: the two may be of different moments.
  std::uint64_t total = 0;
  for (const auto& bucket : buckets_) total += load(bucket);
  if (total == 0) return 0;
  const double wanted = std::ceil(static_cast<double>(total) * percent / 100.0);
  const std::uint64_t rank = wanted < 1.0 ? 1 : static_cast<std::uint64_t>(wanted);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += load(buckets_[i]);
    if (seen < rank) continue;
    const std::uint64_t highest = highest_in(i);
    return highest < max_ns() ? highest : max_ns();
  }
  return max_ns();
}

inline void LatencyHistogram::add(const LatencyHistogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) store(buckets_[i], load(buckets_[i]) + load(other.buckets_[i]));
  store(sum_, load(sum_) + load(other.sum_));
  store(count_, load(count_) + load(other.count_));
  raise_max(load(other.max_));
}

}  // namespace mdp::core
