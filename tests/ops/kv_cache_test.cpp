// Caches that stand on a prefix and are copied, on MLX's arrays and on plain memory.
#include "ops/kv_cache.h"

#include <gtest/gtest.h>

#include <cmath>

namespace gavel {
namespace {

constexpr int kHeads = 2, kDim = 8, kRows = 12, kWidth = kHeads * kDim;

// Rows [begin, end) of numbers that follow from the row and `seed` alone.
mx::array rows(int begin, int end, float seed) {
  const auto at = mx::arange(begin * kWidth, end * kWidth, mx::float32);
  return mx::reshape(mx::sin(at * mx::array(0.37f + seed)), {end - begin, kWidth});
}

class KvCacheTest : public ::testing::TestWithParam<const char*> {
 protected:
  Backend backend_ =
      std::string(GetParam()) == "arrays" ? composed_backend(mx::float32) : cpu_backend();

  std::shared_ptr<KvCache> cache(std::shared_ptr<const KvCache> prefix = nullptr, int length = 0) {
    return std::make_shared<KvCache>(backend_, 1, kWidth, std::move(prefix), length);
  }

  // Adds the rows [begin, end) of the sequence `seed` and returns the attention of the last.
  std::vector<float> add(std::shared_ptr<KvCache> cache, int begin, int end, float seed) {
    cache->extend(end - begin);
    const auto q = rows(begin, end, 0.5f), k = rows(begin, end, seed),
               v = rows(begin, end, seed + 1);
    auto out = mx::zeros_like(q);
    if (on_cpu_memory(backend_)) {
      mx::eval(q, k, v, out);
      const int32_t starts[] = {0, end - begin};
      cached_attention(q.data<float>(), k.data<float>(), v.data<float>(), {&cache, 1}, starts, 0,
                       kHeads, kDim, out.data<float>());
    } else {
      out = cached_attention(q, k, v, {&cache, 1}, *make_segments({end - begin}), 0, kDim);
      mx::eval(out);
    }
    const float* last = out.data<float>() + (end - begin - 1) * kWidth;
    return {last, last + kWidth};
  }

  void SetUp() override { mx::set_default_device(mx::Device::cpu); }
};

TEST_P(KvCacheTest, CopiesRowsOfItsPrefixAndItsOwn) {
  const auto whole = cache();
  const auto want = add(whole, 0, kRows, 0.1f);

  // A prefix that goes on as another prompt does, and a sequence that stands on a part of it.
  const auto prefix = cache();
  add(prefix, 0, 5, 0.1f);
  add(prefix, 5, 9, 0.7f);
  const auto own = cache(prefix, 5);
  add(own, 5, 10, 0.1f);
  for (const int kept : {3, 5, 8, 10}) {
    const auto copy = KvCache::copy_of(*own, kept);
    ASSERT_EQ(copy->length(), kept);
    const auto got = add(copy, kept, kRows, 0.1f);
    for (int i = 0; i < kWidth; ++i)
      EXPECT_NEAR(got[i], want[i], 1e-5) << "of " << kept << " rows kept, number " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Storage, KvCacheTest, ::testing::Values("arrays", "memory"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace gavel
