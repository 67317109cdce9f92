// The operations of inference on an NVIDIA card against float64, and the tables that they read.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "ops/cuda/inference.h"
#include "ops/device.h"

namespace gavel::cuda {
namespace {

// ---- what needs no card: tables over made-up addresses ----

class FakeCache {
 public:
  static PageTables tables(const std::vector<std::pair<int, int>>& old_and_new, int group) {
    std::vector<int32_t> starts{0};
    for (const auto& [before, added] : old_and_new) starts.push_back(starts.back() + added);
    std::vector<std::shared_ptr<KvCache>> caches;
    for (const auto& [before, added] : old_and_new) {
      auto cache = std::make_shared<KvCache>(std::make_unique<PagedStorage>(pool()));
      cache->extend(before);
      cache->extend(added);
      caches.push_back(cache);
    }
    return page_tables(caches, starts, group, 2, 64);
  }
  static std::shared_ptr<PagePool> pool() {
    static const auto one = std::make_shared<PagePool>(PageSizes{1, 2, 64}, [](size_t) {
      static uint64_t next = 0;
      return next += 100000000;
    });
    return one;
  }
};

TEST(PageTables, EveryNewRowHasAPlaceAndSeesWhatIsBeforeIt) {
  const auto t = FakeCache::tables({{0, 70}, {130, 1}, {63, 2}}, 7);
  ASSERT_EQ(t.rows.size(), 73u);
  std::set<uint64_t> places(t.rows.begin(), t.rows.end());
  EXPECT_EQ(places.size(), 73u);
  // The first sequence: tiles of 64 and 6 rows over one and two pages; the longer work first.
  ASSERT_EQ(t.many.size(), 2u);
  EXPECT_EQ(t.many[0].rows, 6);
  EXPECT_EQ(t.many[0].end - t.many[0].begin, 2);
  EXPECT_EQ(t.many[1].rows, 64);
  EXPECT_EQ(t.many[1].end - t.many[1].begin, 1);
  // The others are few rows, split by pages: 131 keys in 3, 65 in 2.
  ASSERT_EQ(t.few.size(), 5u);
  EXPECT_EQ(t.slots, 5);
  EXPECT_EQ(t.few[0].splits, 3);
  EXPECT_EQ(t.few[0].place, 130);
  EXPECT_EQ(t.few[4].split, 1);
  EXPECT_EQ(t.few[4].rows, 2);
  for (const auto& e : t.entries) EXPECT_LE(e.count, kPageRows);
}

TEST(PagedStorage, SharedRowsAreNotWrittenAndNotCopied) {
  auto parent = std::make_shared<KvCache>(std::make_unique<PagedStorage>(FakeCache::pool()));
  parent->extend(100);
  const auto copy = KvCache::copy_of(*parent, 90);
  copy->extend(10);
  const auto& own = dynamic_cast<const PagedStorage&>(copy->storage()).entries();
  const auto& of_parent = dynamic_cast<const PagedStorage&>(parent->storage()).entries();
  ASSERT_EQ(own.size(), 3u);  // 64 and 26 shared rows, 10 in a page of its own
  EXPECT_EQ(own[0].page, of_parent[0].page);
  EXPECT_EQ(own[1].page, of_parent[1].page);
  EXPECT_EQ(own[1].rows, 26);
  EXPECT_NE(own[2].page, of_parent[1].page);
  copy->truncate(95);
  EXPECT_EQ(own.back().rows, 5);
  copy->truncate(64);
  EXPECT_EQ(own.size(), 1u);
  EXPECT_EQ(copy->length(), 64);
}

// ---- on a card ----

mx::array normal(const mx::Shape& shape, uint64_t seed, float deviation = 1.0f) {
  const auto a = mx::random::normal(shape, mx::float32, 0.0f, deviation, mx::random::key(seed));
  auto low = mx::contiguous(mx::astype(a, mx::bfloat16));
  low.eval();
  return low;
}

// Values as doubles on the host.
std::vector<double> host(const mx::array& a) {
  auto wide = mx::contiguous(mx::astype(a, mx::float32));
  wide.eval();
  return {wide.data<float>(), wide.data<float>() + wide.size()};
}

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  EXPECT_EQ(got.size(), want.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

class CudaInference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!gpu_available()) GTEST_SKIP() << "no GPU";
    if (!on_card(make_backend({.device = "gpu"}))) GTEST_SKIP() << "no NVIDIA card";
    run = std::make_unique<Inference>();
    run->queue().enter();
  }
  void TearDown() override {
    run.reset();
    mx::set_default_device(mx::Device::cpu);
  }
  static Rows rows_of(const mx::array& a) {
    return {address(a), a.shape(0), a.shape(1), a.shape(1)};
  }
  std::vector<double> download(const Rows& r) const {
    std::vector<uint16_t> bits(static_cast<size_t>(r.rows) * static_cast<size_t>(r.width));
    run->queue().download(bits.data(), r.data, bits.size() * 2);
    run->queue().wait();
    std::vector<double> values;
    for (const uint16_t b : bits) values.push_back(std::bit_cast<float>(uint32_t{b} << 16));
    return values;
  }
  void fill(const Rows& r) const {  // with NaN, so that what is not written shows
    std::vector<uint16_t> nan(static_cast<size_t>(r.rows) * static_cast<size_t>(r.width), 0x7fc0);
    run->queue().upload(r.data, nan.data(), nan.size() * 2);
    run->queue().wait();
  }

  std::unique_ptr<Inference> run;
  Workspace workspace;
};

struct Made {
  Weight weight;
  std::vector<double> values;  // [n, k]
};

Made quantized(int n, int k, int bits, int group, mx::Dtype scales, uint64_t seed) {
  const auto parts = mx::quantize(mx::astype(normal({n, k}, seed, 0.1f), mx::float32), group, bits);
  Weight w{.data = mx::contiguous(parts[0]),
           .scales = mx::contiguous(mx::astype(parts[1], scales)),
           .biases = mx::contiguous(mx::astype(parts[2], scales)),
           .group_size = group,
           .bits = bits};
  mx::eval(w.data, *w.scales, *w.biases);
  return {w, host(dequantize(w))};
}

// x [rows, k] w [n, k]^T (+ bias) (+ y).
std::vector<double> product(const std::vector<double>& x, const std::vector<double>& w, int rows,
                            int n, int k) {
  std::vector<double> y(static_cast<size_t>(rows) * static_cast<size_t>(n));
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < n; ++i)
      y[static_cast<size_t>(r * n + i)] =
          std::inner_product(x.begin() + int64_t{r} * k, x.begin() + int64_t{r + 1} * k,
                             w.begin() + int64_t{i} * k, 0.0);
  return y;
}

TEST_F(CudaInference, ProductsOfFewAndManyRows) {
  struct Case {
    int bits, group;
    mx::Dtype scales;
  };
  for (const Case& c :
       {Case{4, 64, mx::bfloat16}, Case{4, 32, mx::float16}, Case{4, 128, mx::float32},
        Case{8, 64, mx::bfloat16}, Case{8, 32, mx::float16}, Case{8, 128, mx::bfloat16},
        Case{6, 64, mx::float16}, Case{3, 32, mx::float16}})
    for (const int rows : {1, 3, 8, 9, 16, 17, 32, 33, 64, 65, 130})
      for (const auto& [k, n] :
           {std::pair{128, 150}, std::pair{2688, 150}, std::pair{9216, 40}, std::pair{768, 1100}}) {
        const auto made = quantized(n, k, c.bits, c.group, c.scales, 7);
        const auto x = normal({rows, k}, 3), bias = normal({n}, 4);
        const auto y = normal({rows, n}, 5);
        const auto before = host(y), with = host(bias);
        Product p{.weight = &made.weight, .bias = &bias, .y = rows_of(y), .residual = true};
        run->products(workspace, {rows_of(x)}, {&p, 1}, {});
        auto want = product(host(x), made.values, rows, n, k);
        for (size_t i = 0; i < want.size(); ++i) want[i] += before[i] + with[i % n];
        EXPECT_LT(relative_error(download(p.y), want), 4e-3)
            << c.bits << " bits, groups of " << c.group << ", " << rows << " rows of " << k;
      }
}

TEST_F(CudaInference, ThreeProductsWithLoraSideBySide) {
  for (const int rows : {2, 20, 70}) {
    const int k = 1024, sizes[] = {96, 40, 40}, all = 176;
    const auto x = normal({rows, k}, 1);
    const auto a = normal({24, k}, 2, 0.1f), b0 = normal({96, 8}, 3), b2 = normal({40, 16}, 4);
    const Rows y = workspace.rows(rows, all);
    fill(y);
    std::vector<Made> made;
    std::vector<Product> products;
    std::vector<double> want(static_cast<size_t>(rows * all));
    for (int i = 0; i < 3; ++i) made.push_back(quantized(sizes[i], k, 4, 32, mx::float16, 10 + i));
    const auto xa = product(host(x), host(a), rows, 24, k);
    for (int i = 0, column = 0; i < 3; column += sizes[i++]) {
      Product p{.weight = &made[static_cast<size_t>(i)].weight,
                .y = {static_cast<char*>(y.data) + column * 2, rows, sizes[i], all}};
      if (i == 0) p.lora = {address(b0), 8, 0};
      if (i == 2) p.lora = {address(b2), 16, 8};
      products.push_back(p);
      const auto part = product(host(x), made[static_cast<size_t>(i)].values, rows, sizes[i], k);
      const auto b = i == 0 ? host(b0) : host(b2);
      for (int r = 0; r < rows; ++r)
        for (int j = 0; j < sizes[i]; ++j) {
          double sum = part[static_cast<size_t>(r * sizes[i] + j)];
          for (int l = 0; i != 1 && l < p.lora.rank; ++l)
            sum += xa[static_cast<size_t>(r * 24 + p.lora.first + l)] *
                   b[static_cast<size_t>(j * p.lora.rank + l)];
          want[static_cast<size_t>(r * all + column + j)] = sum;
        }
    }
    run->products(workspace, {rows_of(x)}, products, {address(a), 24});
    EXPECT_LT(relative_error(download(y), want), 6e-3) << rows << " rows";
  }
}

TEST_F(CudaInference, GatedProductsOfNormedRows) {
  for (const auto& [rows, k, n] :
       {std::tuple{1, 192, 104}, std::tuple{12, 192, 104}, std::tuple{40, 192, 104},
        std::tuple{64, 192, 104}, std::tuple{100, 192, 104}, std::tuple{30, 512, 1000},
        std::tuple{64, 2048, 300}}) {
    const auto x = normal({rows, k}, 1), weight = normal({k}, 9);
    const auto gate = quantized(n, k, 4, 64, mx::bfloat16, 2);
    const auto up = quantized(n, k, 4, 64, mx::bfloat16, 3);
    const Rows out = workspace.rows(rows, n);
    fill(out);
    run->gated(workspace, {rows_of(x), &weight, 1e-5f, workspace.rows(rows, k)},
               {.weight = &gate.weight, .y = workspace.rows(rows, n)},
               {.weight = &up.weight, .y = workspace.rows(rows, n)}, {}, out);
    auto normed = host(x);
    const auto by = host(weight);
    for (int r = 0; r < rows; ++r) {
      const auto row = std::span(normed).subspan(static_cast<size_t>(r * k), k);
      double squares = 0;
      for (const double v : row) squares += v * v;
      for (size_t c = 0; c < static_cast<size_t>(k); ++c)
        row[c] *= by[c] / std::sqrt(squares / k + 1e-5);
    }
    auto want = product(normed, gate.values, rows, n, k);
    const auto other = product(normed, up.values, rows, n, k);
    for (size_t i = 0; i < want.size(); ++i)
      want[i] = want[i] / (1 + std::exp(-want[i])) * other[i];
    EXPECT_LT(relative_error(download(out), want), 8e-3) << rows << " rows";
  }
}

TEST_F(CudaInference, LargestLogits) {
  const int vocab = 5003;
  auto logits = mx::random::normal({3, vocab}, mx::float32, 0.0f, 3.0f, mx::random::key(1));
  // The second row has few different values, so that there are ties.
  logits = mx::contiguous(mx::concatenate(
      {mx::slice(logits, {0, 0}, {1, vocab}), mx::round(mx::slice(logits, {1, 0}, {2, vocab})),
       mx::slice(logits, {2, 0}, {3, vocab})},
      0));
  logits.eval();
  const auto values = host(logits);
  auto* pointer = static_cast<float*>(address(logits));
  for (const int count : {1, 5, 64}) {
    const auto largest = run->largest(workspace, pointer, 3, vocab, count);
    ASSERT_EQ(largest.size(), 3u);
    for (size_t r = 0; r < 3; ++r) {
      const double* row = values.data() + r * vocab;
      double sum = 0;
      for (int i = 0; i < vocab; ++i) sum += std::exp(row[i]);
      EXPECT_NEAR(largest[r].log_sum_exp, std::log(sum), 1e-5);
      std::vector<int> ids(vocab);
      std::iota(ids.begin(), ids.end(), 0);
      std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return row[a] > row[b]; });
      if (!largest[r].known) continue;
      ASSERT_EQ(largest[r].tokens.size(), static_cast<size_t>(count));
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        EXPECT_EQ(largest[r].tokens[i].first, ids[i]) << "row " << r << " place " << i;
        EXPECT_EQ(largest[r].tokens[i].second, static_cast<float>(row[ids[i]]));
      }
    }
    EXPECT_TRUE(largest[0].known && largest[2].known);
  }
  const auto picked = run->pick(workspace, pointer, vocab, std::vector<int32_t>{2, 0},
                                std::vector<int32_t>{17, vocab - 1});
  EXPECT_EQ(picked[0], static_cast<float>(values[2 * vocab + 17]));
  EXPECT_EQ(picked[1], static_cast<float>(values[vocab - 1]));
}

// Rows of several sequences in pieces, some of which share their beginning, against attention over
// the whole of each in float64. Heads are turned and normed on the way.
TEST_F(CudaInference, AttentionOverPages) {
  for (const int d : {64, 128}) {
    const int heads = 6, kv_heads = 2, width = (heads + 2 * kv_heads) * d;
    const PageSizes sizes{2, kv_heads, d};
    const auto pool = std::make_shared<PagePool>(sizes);
    std::vector<float> frequencies;
    for (int i = 0; i < d / 2; ++i)
      frequencies.push_back(static_cast<float>(std::pow(1e4, -2.0 * i / d)));
    const auto inv_freq = mx::add(mx::array(frequencies.begin(), {d / 2}), mx::array(0.0f));
    const auto q_norm = normal({d}, 8), k_norm = normal({d}, 9);
    mx::eval(inv_freq);
    const int length = 300;
    // Two sequences that are the same up to row 100.
    std::vector<mx::array> all{normal({length, width}, 1), normal({length, width}, 2)};
    all[1] = mx::contiguous(mx::concatenate(
        {mx::slice(all[0], {0, 0}, {100, width}), mx::slice(all[1], {100, 0}, {length, width})},
        0));
    all[1].eval();
    std::vector<std::vector<double>> got(2), x{host(all[0]), host(all[1])};
    auto parent = std::make_shared<KvCache>(std::make_unique<PagedStorage>(pool));
    std::vector<std::shared_ptr<KvCache>> caches;

    const auto pass =
        [&](const std::vector<std::tuple<int, std::shared_ptr<KvCache>, int>>& parts) {
          std::vector<int32_t> starts{0}, positions;
          std::vector<std::shared_ptr<KvCache>> used;
          Arrays rows;
          for (const auto& [which, cache, count] : parts) {
            const int from = static_cast<int>(cache->length()) - count;
            starts.push_back(starts.back() + count);
            for (int i = 0; i < count; ++i) positions.push_back(from + i);
            used.push_back(cache);
            rows.push_back(
                mx::slice(all[static_cast<size_t>(which)], {from, 0}, {from + count, width}));
          }
          auto packed = mx::contiguous(mx::concatenate(rows, 0));
          packed = mx::contiguous(mx::add(packed, mx::array(0.0f, mx::bfloat16)));
          packed.eval();
          const auto tables = page_tables(used, starts, heads / kv_heads, kv_heads, d);
          const auto upload = [&](const auto& values) {
            void* to = workspace.take(values.size() * sizeof(values[0]) + 16);
            run->queue().upload(to, values.data(), values.size() * sizeof(values[0]));
            run->queue().wait();
            return to;
          };
          const size_t slots = static_cast<size_t>(tables.slots * kv_heads);
          Inference::Attention a{.sizes = sizes,
                                 .heads = heads,
                                 .layer = 1,
                                 .eps = 1e-6f,
                                 .inv_freq = &inv_freq,
                                 .q_norm = &q_norm,
                                 .k_norm = &k_norm};
          a.positions = static_cast<int32_t*>(upload(positions));
          a.rows = static_cast<uint64_t*>(upload(tables.rows));
          a.entries = static_cast<PageEntry*>(upload(tables.entries));
          a.few = static_cast<PageTask*>(upload(tables.few));
          a.many = static_cast<PageTask*>(upload(tables.many));
          a.few_count = static_cast<int>(tables.few.size());
          a.many_count = static_cast<int>(tables.many.size());
          a.parts =
              static_cast<float*>(workspace.take(slots * Inference::part_floats(sizes) * 4 + 16));
          a.counters = static_cast<int32_t*>(workspace.take(slots * 4 + 16));
          run->queue().clear(a.counters, slots * 4 + 16);
          const Rows qkv = rows_of(packed), out = workspace.rows(packed.shape(0), heads * d);
          fill(out);
          run->rotate_and_store(qkv, a);
          run->attention(qkv, a, out);
          const auto values = download(out);
          for (size_t i = 0; i < parts.size(); ++i) {
            auto& to = got[static_cast<size_t>(std::get<0>(parts[i]))];
            to.insert(to.end(), values.begin() + int64_t{starts[i]} * heads * d,
                      values.begin() + int64_t{starts[i + 1]} * heads * d);
          }
        };
    // The shared beginning and what stands on it in one pass, then pieces of every size.
    parent->extend(100);
    for (int i = 0; i < 2; ++i)
      caches.push_back(
          std::make_shared<KvCache>(std::make_unique<PagedStorage>(pool), parent, 100));
    caches[0]->extend(70);
    caches[1]->extend(1);
    pass({{0, parent, 100}, {0, caches[0], 70}, {1, caches[1], 1}});
    got[1].insert(got[1].begin(), got[0].begin(), got[0].begin() + int64_t{100} * heads * d);
    for (const auto& [first, second] : {std::pair{1, 100}, std::pair{2, 5}, std::pair{5, 1}}) {
      caches[0]->extend(first);
      caches[1]->extend(second);
      pass({{0, caches[0], first}, {1, caches[1], second}});
    }
    for (size_t s = 0; s < 2; ++s) {
      const int rows = static_cast<int>(got[s].size()) / (heads * d);
      ASSERT_EQ(rows, static_cast<int>(caches[s]->length()));
      // Norm and rotation in double.
      const auto of = [&](int row, int head, const std::vector<double>* weight) {
        std::vector<double> v(
            x[s].begin() + (int64_t{row} * (heads + 2 * kv_heads) + head) * d,
            x[s].begin() + (int64_t{row} * (heads + 2 * kv_heads) + head + 1) * d);
        if (weight == nullptr) return v;
        double squares = 0;
        for (const double e : v) squares += e * e;
        for (int i = 0; i < d; ++i)
          v[static_cast<size_t>(i)] *=
              (*weight)[static_cast<size_t>(i)] / std::sqrt(squares / d + 1e-6);
        for (int i = 0; i < d / 2; ++i) {
          const double angle = row * double{frequencies[static_cast<size_t>(i)]};
          double &p = v[static_cast<size_t>(i)], &q = v[static_cast<size_t>(i + d / 2)];
          const double turned = p * std::cos(angle) - q * std::sin(angle);
          q = q * std::cos(angle) + p * std::sin(angle);
          p = turned;
        }
        return v;
      };
      const auto wq = host(q_norm), wk = host(k_norm);
      std::vector<double> want;
      for (int row = 0; row < rows; ++row)
        for (int head = 0; head < heads; ++head) {
          const int kv = head / (heads / kv_heads);
          const auto q = of(row, head, &wq);
          std::vector<double> sum(static_cast<size_t>(d));
          double total = 0;
          for (int key = 0; key <= row; ++key) {
            const auto k = of(key, heads + kv, &wk), v = of(key, heads + kv_heads + kv, nullptr);
            const double p = std::exp(std::inner_product(q.begin(), q.end(), k.begin(), 0.0) /
                                      std::sqrt(double(d)));
            total += p;
            for (int i = 0; i < d; ++i)
              sum[static_cast<size_t>(i)] += p * v[static_cast<size_t>(i)];
          }
          for (const double e : sum) want.push_back(e / total);
        }
      EXPECT_LT(relative_error(got[s], want), 1e-2) << "heads of " << d << ", sequence " << s;
    }
  }
}

}  // namespace
}  // namespace gavel::cuda
