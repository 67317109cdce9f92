// Kept prompts: which beginning is found, and which entries go.
#include "generate/prefix_cache.h"

#include <gtest/gtest.h>

#include <numeric>

namespace gavel {
namespace {

std::vector<int> tokens(size_t count, int first = 0) {
  std::vector<int> t(count);
  std::iota(t.begin(), t.end(), first);
  return t;
}

std::shared_ptr<const KvCache> rows(size_t count) {
  auto cache = std::make_shared<KvCache>(cpu_backend(), 2, 8);
  cache->extend(static_cast<int64_t>(count));
  return cache;
}

TEST(PrefixCache, FindsTheLongestBeginning) {
  PrefixCache cache(1 << 20);
  EXPECT_EQ(cache.find(nullptr, tokens(40)).rows, 0);
  cache.insert(nullptr, tokens(40), rows(40));
  auto other = tokens(60);
  other[30] = -1;
  const auto kept = rows(60);
  cache.insert(nullptr, other, kept);
  EXPECT_EQ(cache.entries(), 2u);
  EXPECT_EQ(cache.find(nullptr, tokens(100)).rows, 40);
  EXPECT_EQ(cache.find(nullptr, other).rows, 60);
  EXPECT_EQ(cache.find(nullptr, other).cache, kept);
  EXPECT_EQ(cache.find(nullptr, tokens(20)).rows, 20);  // a part of an entry
  EXPECT_EQ(cache.find(nullptr, tokens(15)).rows, 0);   // too short to be worth it
  EXPECT_EQ(cache.find(nullptr, tokens(40, 7)).rows, 0);
  const ModelLora lora;
  EXPECT_EQ(cache.find(&lora, tokens(40)).rows, 0);  // another adapter's rows are others
}

TEST(PrefixCache, LongerEntriesTakeTheShorterOnesPlace) {
  PrefixCache cache(1 << 20);
  cache.insert(nullptr, tokens(40), rows(40));
  cache.insert(nullptr, tokens(50), rows(50));
  EXPECT_EQ(cache.entries(), 1u);
  cache.insert(nullptr, tokens(30), rows(30));
  EXPECT_EQ(cache.entries(), 1u);
  EXPECT_EQ(cache.find(nullptr, tokens(60)).rows, 50);
}

TEST(PrefixCache, TheLeastRecentlyUsedGoesFirst) {
  PrefixCache probe(1 << 20);
  probe.insert(nullptr, tokens(32), rows(32));
  PrefixCache cache(probe.bytes() * 5 / 2);  // room for two
  cache.insert(nullptr, tokens(32, 100), rows(32));
  cache.insert(nullptr, tokens(32, 200), rows(32));
  cache.find(nullptr, tokens(32, 100));
  cache.insert(nullptr, tokens(32, 300), rows(32));
  EXPECT_EQ(cache.entries(), 2u);
  EXPECT_EQ(cache.find(nullptr, tokens(32, 200)).rows, 0);
  EXPECT_EQ(cache.find(nullptr, tokens(32, 100)).rows, 32);
  EXPECT_EQ(cache.bytes(), 2 * probe.bytes());
  cache.insert(nullptr, tokens(4000, 400), rows(4000));  // larger than all there is room for
  EXPECT_EQ(cache.entries(), 2u);
}

}  // namespace
}  // namespace gavel
