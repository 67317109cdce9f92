// The operations on an NVIDIA card against the CPU's kernels (which are tested against float64):
// values and gradients in bfloat16. What needs no card runs everywhere.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "ops/cuda/attention_plan.h"
#include "ops/cuda/program.h"
#include "ops/device.h"
#include "ops/ops.h"

namespace gavel {
namespace {

// ---- what needs no card ----

// The keys that each row sees, straight from the definition.
std::vector<std::set<int32_t>> visible(const Segments& s) {
  std::vector<std::set<int32_t>> sees(static_cast<size_t>(s.rows()));
  for (size_t segment = 0; segment + 1 < s.starts.size(); ++segment)
    for (int32_t row = s.starts[segment]; row < s.starts[segment + 1]; ++row) {
      auto& own = sees[static_cast<size_t>(row)];
      for (int32_t key = s.starts[segment]; key <= row; ++key) own.insert(key);
      if (s.parents.empty()) continue;
      for (int32_t p = s.parents[segment]; p >= 0; p = s.parents[static_cast<size_t>(p)])
        for (int32_t key = s.starts[static_cast<size_t>(p)];
             key < s.starts[static_cast<size_t>(p) + 1]; ++key)
          own.insert(key);
    }
  return sees;
}

// What the kernels make of the tiles: pairs (query, key).
std::set<std::pair<int32_t, int32_t>> pairs(const cuda::AttentionTiles& t, bool of_queries) {
  std::set<std::pair<int32_t, int32_t>> all;
  for (size_t i = 0; i < t.tiles.size(); i += 4)
    for (int32_t row = t.tiles[i]; row < t.tiles[i] + t.tiles[i + 1]; ++row)
      for (int32_t range = t.tiles[i + 2]; range < t.tiles[i + 3]; ++range)
        for (int32_t other = t.ranges[2 * static_cast<size_t>(range)];
             other < t.ranges[2 * static_cast<size_t>(range) + 1]; ++other) {
          const int32_t query = of_queries ? row : other, key = of_queries ? other : row;
          if (key > query) continue;
          EXPECT_TRUE(all.emplace(query, key).second) << query << " " << key;
        }
  return all;
}

TEST(CudaAttentionPlan, RowsMeetWhatTheySee) {
  const std::vector<SegmentsPtr> cases = {
      make_segments({1}), make_segments({64}), make_segments({200, 3, 65}),
      make_segments({9, 4, 11, 1, 7, 6}, {-1, 0, 0, 2, 2, -1}),
      make_segments({100, 70, 130, 5, 64, 1}, {-1, 0, 0, 2, 1, -1})};
  for (const auto& s : cases) {
    std::set<std::pair<int32_t, int32_t>> want;
    const auto sees = visible(*s);
    for (size_t row = 0; row < sees.size(); ++row)
      for (const int32_t key : sees[row]) want.emplace(static_cast<int32_t>(row), key);
    EXPECT_EQ(pairs(cuda::query_tiles(*s), true), want);
    EXPECT_EQ(pairs(cuda::key_tiles(*s), false), want);
  }
}

TEST(CudaAttentionPlan, RangesThatTouchAreOne) {
  const auto tiles = cuda::query_tiles(*make_segments({128, 64}, {-1, 0}));
  EXPECT_EQ(tiles.ranges, (std::vector<int32_t>{0, 192, 0, 128, 0, 64}));
}

TEST(CudaProgram, KernelsCompile) {
  if (dlsym(RTLD_DEFAULT, "nvrtcCreateProgram") == nullptr &&
      dlopen("libnvrtc.so.13", RTLD_NOW) == nullptr &&
      dlopen("libnvrtc.so.12", RTLD_NOW) == nullptr)
    GTEST_SKIP() << "NVIDIA's run-time compiler is not on this machine";
  using cuda::Source;
  const std::string architecture = cuda::architecture(90);
  EXPECT_NO_THROW(cuda::compile(Source::attention, "attention<64>", architecture));
  EXPECT_NO_THROW(cuda::compile(Source::attention, "attention_backward_queries<64>", architecture));
  EXPECT_NO_THROW(cuda::compile(Source::attention, "attention_backward_keys<64>", architecture));
  EXPECT_NO_THROW(cuda::compile(Source::dequantize, "dequantize<3, half, bf16>", architecture));
  for (const char* name : {"rope", "swiglu", "swiglu_backward", "swiglu_backward_and_result",
                           "rms_norm", "rms_norm_again", "rms_norm_backward", "add_residual"})
    EXPECT_NO_THROW(cuda::compile(Source::elementwise, name, architecture));
  EXPECT_NO_THROW(cuda::compile(Source::cross_entropy, "cross_entropy", architecture));
  for (const char* name : {"quantize_rows<10>", "quantize_swiglu<10>", "weight_scales<4, bf16>",
                           "weight_to_fp8<3, half>", "weight_to_fp8_transposed<8, float>"})
    EXPECT_NO_THROW(cuda::compile(Source::fp8, name, architecture));
  EXPECT_NO_THROW(cuda::compile(Source::inference, "rotate_and_store<64>", architecture));
  for (const char* name : {"embed_quantized<3, half, bf16>", "embed_dense<float, float>",
                           "gather_rows", "scatter_rows"})
    EXPECT_NO_THROW(cuda::compile(Source::rows, name, architecture));
  EXPECT_NO_THROW(cuda::compile(Source::paged_attention, "paged_attention_few<64>", architecture));
  EXPECT_NO_THROW(cuda::compile(
      Source::products, "quantized_product<4, 64, bf16, bf16, 1, 1, 1, false>", architecture));
  EXPECT_NO_THROW(cuda::compile(
      Source::products, "quantized_product<8, 32, half, float, 2, 8, 4, false>", architecture));
  EXPECT_NO_THROW(cuda::compile(Source::wide_products, "wide_product<4, 64, bf16, bf16, 8, true>",
                                architecture));
  // What differs below sm_90 stands in common.cuh, which all of them include, and in
  // tiles.cuh.
  EXPECT_NO_THROW(cuda::compile(Source::attention, "attention<64>", "sm_80"));
  EXPECT_NO_THROW(cuda::compile(Source::products,
                                "quantized_product<4, 64, bf16, bf16, 1, 1, 1, false>", "sm_80"));
  EXPECT_THROW(cuda::compile(Source::elementwise, "no_such_kernel", architecture), Error);
}

// ---- on a card ----

// Numbers that bfloat16 holds, so that both backends get the same ones.
mx::array normal(const mx::Shape& shape, uint64_t seed, float deviation = 1.0f) {
  auto a = mx::astype(
      mx::astype(mx::random::normal(shape, mx::float32, 0.0f, deviation, mx::random::key(seed)),
                 mx::bfloat16),
      mx::float32);
  a.eval();
  return a;
}

Weight quantized(int n, int k, int bits, int group_size, mx::Dtype scales = mx::float16) {
  const auto parts = mx::quantize(normal({n, k}, 1, 0.1f), group_size, bits);
  Weight w{.data = parts[0],
           .scales = mx::astype(parts[1], scales),
           .biases = mx::astype(parts[2], scales),
           .group_size = group_size,
           .bits = bits};
  mx::eval({w.data, *w.scales, *w.biases});
  return w;
}

using Function = std::function<Arrays(const Backend&, const Arrays&)>;

// By the norm of the difference; both are float32 on the host.
// ||got - want|| / ||want||
double difference(const mx::array& got, const mx::array& want) {
  double squares = 0.0, norm = 0.0;
  for (size_t j = 0; j < got.size(); ++j) {
    squares += std::pow(double{got.data<float>()[j]} - double{want.data<float>()[j]}, 2);
    norm += std::pow(double{want.data<float>()[j]}, 2);
  }
  return std::sqrt(squares / norm);
}

void expect_near(const Arrays& got, const Arrays& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(got[i].size(), want[i].size()) << i;
    EXPECT_LT(difference(got[i], want[i]), tolerance) << "result " << i;  // and no NaN
  }
}

class Cuda : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!gpu_available()) GTEST_SKIP() << "no GPU";
    backend = make_backend({.device = "gpu"});
    if (std::string(backend.operations->name) != "cuda") GTEST_SKIP() << "no NVIDIA card";
  }
  void TearDown() override { mx::set_default_device(mx::Device::cpu); }

  // Values, and gradients for the first `differentiable` inputs, of f; the first `activations`
  // inputs are in the backend's type. Everything comes back as float32 on the host.
  static Arrays run(const Function& f, const Backend& b, const Arrays& inputs, size_t activations,
                    size_t differentiable) {
    mx::set_default_device(on_cpu_memory(b) ? mx::Device::cpu : mx::Device::gpu);
    Arrays in = inputs;
    for (size_t i = 0; i < activations; ++i) in[i] = mx::astype(in[i], b.dtype);
    std::vector<int> wanted(differentiable);
    for (size_t i = 0; i < differentiable; ++i) wanted[i] = static_cast<int>(i);
    Arrays values;
    const auto weighted = [&](const Arrays& x) {
      values = f(b, x);
      auto sum = mx::array(0.0f);
      for (size_t i = 0; i < values.size(); ++i)
        sum = mx::add(sum, mx::sum(mx::multiply(mx::astype(values[i], mx::float32),
                                                normal(values[i].shape(), 90 + i))));
      return sum;
    };
    Arrays result;
    if (differentiable > 0)
      result =
          mx::value_and_grad(std::function<mx::array(const Arrays&)>(weighted), wanted)(in).second;
    const auto own = f(b, in);
    result.insert(result.begin(), own.begin(), own.end());
    for (auto& r : result) r = mx::contiguous(mx::astype(r, mx::float32));
    mx::eval(result);
    mx::synchronize();
    return result;
  }

  void expect_close(const Function& f, const Arrays& inputs, size_t activations,
                    size_t differentiable, double tolerance = 1e-2) {
    const auto want = run(f, cpu_backend(), inputs, activations, differentiable);
    const auto got = run(f, backend, inputs, activations, differentiable);
    expect_near(got, want, tolerance);
    // The same inputs give the same bits.
    const auto again = run(f, backend, inputs, activations, differentiable);
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(std::equal(got[i].data<float>(), got[i].data<float>() + got[i].size(),
                             again[i].data<float>()))
          << "result " << i;
  }

  Backend backend = cpu_backend();
};

TEST_F(Cuda, LinearOfEveryWeight) {
  for (const int bits : {2, 3, 4, 5, 6, 8})
    for (const auto scales : {mx::float16, mx::bfloat16, mx::float32}) {
      SCOPED_TRACE(bits);
      const Weight w = quantized(96, 128, bits, 32, scales);
      expect_close(
          [&](const Backend& b, const Arrays& in) {
            return Arrays{linear(b, in[0], {.weight = w, .bias = {}, .lora = {}})};
          },
          {normal({37, 128}, 2)}, 1, 1);
    }
}

TEST_F(Cuda, LinearsWithLoraBiasAndResidual) {
  const Weight q = quantized(128, 256, 4, 64), k = quantized(64, 256, 8, 32);
  expect_close(
      [&](const Backend& b, const Arrays& in) {
        return linears(
            b, in[0],
            {{q, normal({128}, 5), LoraBranch{.a = in[1], .b = in[2], .scale = 1.5f, .key = {}}},
             {k, {}, LoraBranch{.a = in[3], .b = in[4], .scale = 20.0f, .key = {}}}});
      },
      {normal({70, 256}, 2), normal({256, 8}, 3, 0.1f), normal({8, 128}, 4, 0.1f),
       normal({256, 8}, 6, 0.1f), normal({8, 64}, 7, 0.1f)},
      1, 5);
  expect_close(
      [&](const Backend& b, const Arrays& in) {
        return Arrays{linear(b, in[0],
                             {q, {}, LoraBranch{.a = in[2], .b = in[3], .scale = 2.0f, .key = {}}},
                             in[1])};
      },
      {normal({33, 256}, 2), normal({33, 128}, 8), normal({256, 16}, 3, 0.1f),
       normal({16, 128}, 4, 0.1f)},
      1, 4);
}

// What LoRA adds, though it is less than the last digit of the product that it is added to.
TEST_F(Cuda, SmallLoraIsNotLost) {
  const Weight w = quantized(256, 128, 4, 32);
  const Arrays inputs{mx::abs(normal({64, 128}, 2)), mx::full({128, 8}, 0.01f),
                      mx::full({8, 256}, 0.001f)};
  const auto with = [&](bool lora) {
    return [&w, lora](const Backend& b, const Arrays& in) {
      LinearBranch branch{.weight = w, .bias = {}, .lora = {}};
      if (lora) branch.lora = LoraBranch{.a = in[1], .b = in[2], .scale = 1.0f, .key = {}};
      return Arrays{linear(b, in[0], branch)};
    };
  };
  const auto sum = [](const Arrays& y) { return mx::sum(y[0], mx::Device::cpu).item<float>(); };
  const auto added = [&](const Backend& b) {
    return sum(run(with(true), b, inputs, 1, 0)) - sum(run(with(false), b, inputs, 1, 0));
  };
  EXPECT_NEAR(added(backend) / added(cpu_backend()), 1.0f, 0.05f);
}

// Of several bit widths, forward and backward, with what is added and without. The error is that of
// 8-bit floating point: less would mean that something else multiplied.
TEST_F(Cuda, ProductsInFp8) {
  if (!has_fp8(backend)) GTEST_SKIP() << "no 8-bit floating point here";
  for (const Weight& w :
       {quantized(128, 192, 4, 64, mx::bfloat16), quantized(64, 256, 4, 32, mx::float16),
        quantized(320, 128, 8, 32), quantized(192, 64, 3, 64), quantized(64, 16384, 4, 64)}) {
    const int n = w.out_features(), k = w.in_features();
    const Weight low = with_fp8(w);
    ASSERT_TRUE(low.fp8);
    for (const int rows : {16, 37, 300}) {
      SCOPED_TRACE(fmt::format("{} bits, [{}, {}], {} rows", w.bits, n, k, rows));
      for (const bool adapted : {false, true}) {
        const auto f = [&](const Backend& b, const Arrays& in) {
          const Weight& of = on_card(b) ? low : w;
          LinearBranch branch{.weight = of, .bias = normal({n}, 5), .lora = {}};
          if (adapted) branch.lora = LoraBranch{.a = in[1], .b = in[2], .scale = 1.0f, .key = {}};
          return linears(b, in[0], {branch, {.weight = of, .bias = {}, .lora = {}}});
        };
        const Arrays inputs{normal({rows, k}, 2), normal({k, 8}, 3, 0.1f), normal({8, n}, 4, 0.1f)};
        const auto want = run(f, cpu_backend(), inputs, 1, adapted ? 3 : 1);
        const auto got = run(f, backend, inputs, 1, adapted ? 3 : 1);
        expect_near(got, want, 5e-2);
        const double error = difference(got[1], want[1]);
        EXPECT_GT(error, 5e-3);
        fmt::print("{} bits, [{}, {}], {} rows: {:.2e}\n", w.bits, n, k, rows, error);
        const auto again = run(f, backend, inputs, 1, adapted ? 3 : 1);
        for (size_t i = 0; i < got.size(); ++i)
          EXPECT_TRUE(mx::array_equal(got[i], again[i], mx::Device::cpu).item<bool>()) << i;
      }
      const auto mlp = [&](const Backend& b, const Arrays& in) {
        const Weight& of = on_card(b) ? low : w;
        return Arrays{swiglu_linear(b, in[0], in[1], {of, {}, {}}, in[2])};
      };
      const Arrays inputs{normal({rows, k}, 2), normal({rows, k}, 3), normal({rows, n}, 4)};
      const auto want = run(mlp, cpu_backend(), inputs, 2, 3);
      const auto got = run(mlp, backend, inputs, 2, 3);
      expect_near(got, want, 5e-2);
      EXPECT_GT(difference(got[0], want[0]), 5e-3);
    }
  }
}

// Ranks of one size, of different sizes, and odd ones.
TEST_F(Cuda, LoraOfEveryRank) {
  const Weight first = quantized(96, 160, 4, 32), second = quantized(64, 160, 8, 32);
  for (const auto& [r1, r2] : {std::pair{8, 8}, {32, 32}, {8, 16}, {64, 64}, {5, 5}})
    for (const int rows : {1, 17, 300}) {
      SCOPED_TRACE(fmt::format("ranks {} and {}, {} rows", r1, r2, rows));
      expect_close(
          [&](const Backend& b, const Arrays& in) {
            return linears(
                b, in[0],
                {{first, {}, LoraBranch{.a = in[1], .b = in[2], .scale = 2.0f, .key = {}}},
                 {second, {}, LoraBranch{.a = in[3], .b = in[4], .scale = 2.0f, .key = {}}}});
          },
          {normal({rows, 160}, 2), normal({160, r1}, 3, 0.1f), normal({r1, 96}, 4, 0.1f),
           normal({160, r2}, 6, 0.1f), normal({r2, 64}, 7, 0.1f)},
          1, 5);
    }
}

// What stands before the products is in one node with them: with and without LoRA, and x going on.
TEST_F(Cuda, LinearsOfNormAndOfSwiglu) {
  const Weight gate = quantized(96, 256, 4, 64), up = quantized(64, 256, 8, 32),
               down = quantized(256, 96, 4, 32);
  const auto norm = normal({256}, 9);
  for (const bool adapted : {true, false}) {
    SCOPED_TRACE(adapted);
    const auto lora = [&](const Arrays& in, size_t at, float scale) {
      return adapted ? std::optional(
                           LoraBranch{.a = in[at], .b = in[at + 1], .scale = scale, .key = {}})
                     : std::nullopt;
    };
    const size_t matrices = adapted ? 2 : 0;
    expect_close(
        [&](const Backend& b, const Arrays& in) {
          auto x = in[0];
          auto y = normed_linears(b, x, norm, 1e-5f, {{gate, {}, lora(in, 1, 1.0f)}, {up, {}, {}}});
          y.push_back(x);
          return y;
        },
        {normal({70, 256}, 2), normal({256, 8}, 3, 0.1f), normal({8, 96}, 4, 0.1f)}, 0,
        1 + matrices);
    expect_close(
        [&](const Backend& b, const Arrays& in) {
          return Arrays{swiglu_linear(b, in[0], in[1], {down, {}, lora(in, 3, 2.0f)}, in[2])};
        },
        {normal({70, 96}, 2), normal({70, 96}, 3), normal({70, 256}, 4), normal({96, 8}, 5, 0.1f),
         normal({8, 256}, 6, 0.1f)},
        2, 3 + matrices);
  }
}

TEST_F(Cuda, NormRopeSwigluRowsEmbedding) {
  const auto weight = normal({64}, 1);
  const auto segments = make_segments({50, 1, 700}, {-1, 0, 0});
  const auto frequencies =
      mx::power(mx::array(10000.0f), mx::divide(mx::arange(32), mx::array(-32.0f)));
  const auto inv_freq = mx::contiguous(frequencies);
  mx::eval(inv_freq);
  expect_close(
      [&](const Backend& b, const Arrays& in) { return Arrays{rms_norm(b, in[0], weight, 1e-5f)}; },
      {normal({751, 64}, 2)}, 1, 1);
  for (const int width : {64, 300})  // of the residual path, which is float32
    expect_close(
        [&](const Backend& b, const Arrays& in) {
          return Arrays{rms_norm(b, in[0], mx::ones({width}), 1e-5f)};
        },
        {normal({51, width}, 2)}, 0, 1);
  expect_close(
      [&](const Backend& b, const Arrays& in) {
        return Arrays{rope(b, in[0], prepare(b, segments), inv_freq, 64)};
      },
      {normal({751, 192}, 3)}, 1, 1);
  expect_close([&](const Backend& b, const Arrays& in) { return Arrays{swiglu(b, in[0], in[1])}; },
               {normal({51, 96}, 4), normal({51, 96}, 5)}, 2, 2);
  const auto rows = std::make_shared<const std::vector<int32_t>>(std::vector<int32_t>{0, 3, 8});
  for (const int width : {6, 64})
    expect_close(
        [&](const Backend& b, const Arrays& in) { return Arrays{select_rows(b, in[0], rows)}; },
        {normal({9, width}, 1)}, width == 64 ? 0 : 1, 1);
  const mx::array ids({3, 99, 0, 42, 42}, {5}, mx::int32);
  for (const Weight& table :
       {quantized(100, 64, 4, 32), quantized(100, 96, 3, 32), Weight{.data = normal({100, 30}, 5)}})
    expect_close([&](const Backend& b, const Arrays&) { return Arrays{embedding(b, table, ids)}; },
                 {}, 0, 0);
}

TEST_F(Cuda, AttentionOverTrees) {
  const std::vector<SegmentsPtr> cases = {
      make_segments({1, 5}), make_segments({64}), make_segments({63, 65, 1, 200}),
      make_segments({9, 4, 11, 1, 7, 6}, {-1, 0, 0, 2, 2, -1}),
      make_segments({100, 70, 130, 5, 64, 1, 300}, {-1, 0, 0, 2, 1, -1, -1})};
  for (const int head_dim : {64, 128})
    for (const auto& s : cases) {
      SCOPED_TRACE(head_dim);
      const int rows = static_cast<int>(s->rows());
      expect_close(
          [&](const Backend& b, const Arrays& in) {
            return Arrays{attention(b, in[0], in[1], in[2], prepare(b, s), head_dim)};
          },
          {normal({rows, 6 * head_dim}, 1), normal({rows, 2 * head_dim}, 2),
           normal({rows, 2 * head_dim}, 3)},
          3, 3);
    }
}

// The products of tiles without what compute capability 9.0 alone has, which other cards use.
TEST_F(Cuda, AttentionOfEveryCard) {
  const int d = 128, heads = 6, kv_heads = 2;
  mx::set_default_device(mx::Device::gpu);
  const auto s = prepare(backend, make_segments({100, 70, 130, 5}, {-1, 0, 0, 2}));
  const auto rows = static_cast<int>(s->rows());
  const auto bf = [&](int width, uint64_t seed) {
    return mx::astype(normal({rows, width}, seed), mx::bfloat16);
  };
  const auto q = bf(heads * d, 1), k = bf(kv_heads * d, 2), v = bf(kv_heads * d, 3);
  const auto dout = bf(heads * d, 4);
  const auto all = [&](const std::string& architecture) {
    const auto run = [&](const char* name, int tiles_in_memory, const Arrays& in, mx::Dtype type,
                         const mx::Shape& second) {
      const auto kernel =
          cuda::compile(cuda::Source::attention, fmt::format("{}<{}>", name, d), architecture);
      return cuda::launch(kernel,
                          {.blocks_x = heads,
                           .blocks_y = in[in.size() - 2].shape(0),
                           .threads = 128,
                           .shared_bytes = tiles_in_memory * 64 * d * 2 + 1024},
                          in, {q.shape(), second}, {type, mx::float32}, {heads, kv_heads, 0.1f});
    };
    const SegmentArrays& t = *s->arrays;
    const auto out =
        run("attention", 4, {q, k, v, t.query_tiles, t.query_ranges}, mx::bfloat16, {rows, heads});
    const auto dq = run("attention_backward_queries", 4,
                        {q, k, v, out[0], dout, out[1], t.query_tiles, t.query_ranges},
                        mx::bfloat16, {rows, heads});
    const auto dkv =
        run("attention_backward_keys", 6, {q, k, v, dout, out[1], dq[1], t.key_tiles, t.key_ranges},
            mx::float32, q.shape());
    Arrays result{out[0], dq[0], dkv[0], dkv[1]};
    for (auto& r : result) r = mx::contiguous(mx::astype(r, mx::float32));
    mx::eval(result);
    mx::synchronize();
    return result;
  };
  const int capability = cuda::compute_capability();
  expect_near(all(fmt::format("sm_{}", capability)), all(cuda::architecture(capability)), 2e-3);
}

TEST_F(Cuda, CrossEntropy) {
  const Weight head = quantized(1000, 64, 8, 32);
  std::vector<int32_t> ids;
  for (int i = 0; i < 2500; ++i) ids.push_back(i * 37 % 1000);  // more rows than a chunk
  const mx::array targets(ids.begin(), {2500}, mx::int32);
  const auto weights = mx::abs(normal({2500}, 3));
  mx::eval(weights);
  for (const bool with_grad : {true, false})
    expect_close(
        [&](const Backend& b, const Arrays& in) {
          return Arrays{cross_entropy(b, in[0], head, targets, weights, with_grad)[0]};
        },
        {normal({2500, 64}, 2)}, 1, with_grad ? 1 : 0);
}

TEST_F(Cuda, OptimizerStep) {
  const auto f = [](const Backend& b, const Arrays& in) {
    auto out = adamw(b, in,
                     {.lr = 1e-2f,
                      .beta1 = 0.9f,
                      .beta2 = 0.999f,
                      .eps = 1e-8f,
                      .weight_decay = 0.1f,
                      .bias_correction = true,
                      .step = 3});
    out.push_back(l2_norm(b, in[1]));
    return out;
  };
  expect_close(
      f, {normal({1001}, 1), normal({1001}, 2), normal({1001}, 3), mx::abs(normal({1001}, 4))}, 0,
      0, 1e-5);
}

}  // namespace
}  // namespace gavel
