// Speed of the CPU kernels on the shapes of SmolLM2-135M, next to what the machine can do at most:
//   build/bench/kernels_bench [--benchmark_filter=...]
// Rates are of all threads (GAVEL_NUM_THREADS); "FLOP" counts a multiplication and an addition,
// whatever type they are done in.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "base/threads.h"
#include "ops/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gavel::kernels {
namespace {

using benchmark::Counter;
using benchmark::State;

void report_flops(State& state, double flop) {
  state.counters["FLOP/s"] =
      Counter(flop * static_cast<double>(state.iterations()), Counter::kIsRate);
}

void report_bytes(State& state, double bytes) {
  state.counters["B/s"] =
      Counter(bytes * static_cast<double>(state.iterations()), Counter::kIsRate);
}

std::vector<float> normals(int64_t count, float scale = 1.0f) {
  std::mt19937_64 engine(static_cast<uint64_t>(count));
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> out(count);
  for (float& f : out) f = normal(engine);
  return out;
}

struct QuantizedWeight {
  std::vector<uint32_t> data;
  std::vector<uint16_t> scales, biases;
  WeightView view;
};

QuantizedWeight quantized(int64_t n, int64_t k, int bits) {
  QuantizedWeight w;
  std::mt19937_64 engine(7);
  w.data.resize(n * k * bits / 32);
  for (uint32_t& word : w.data) word = static_cast<uint32_t>(engine());
  w.scales.assign(n * k / 32, 0x2000);  // 2^-7
  w.biases.assign(n * k / 32, bits == 4 ? 0xac00 : 0xbc00);
  w.view = {n, k, w.data.data(), ScalarType::f16, w.scales.data(), w.biases.data(), bits, 32};
  return w;
}

// ---- bounds ----

#if defined(__x86_64__)
// What the processor does at most in products: independent sums, nothing loaded.
#define GAVEL_PEAK(name, target_set, type, lanes, zero, step)                                   \
  __attribute__((target(target_set), noinline)) void name(int64_t rounds) {                     \
    type a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero;                      \
    type a6 = zero, a7 = zero, a8 = zero, a9 = zero, x = zero, y = zero;                        \
    [[maybe_unused]] type t = zero;                                                             \
    for (int64_t i = 0; i < rounds; ++i) {                                                      \
      step(a0) step(a1) step(a2) step(a3) step(a4) step(a5) step(a6) step(a7) step(a8) step(a9) \
    }                                                                                           \
    asm volatile("" ::"x"(a0), "x"(a1), "x"(a2), "x"(a3), "x"(a4), "x"(a5), "x"(a6), "x"(a7),   \
                 "x"(a8), "x"(a9));                                                             \
  }
#define GAVEL_FMA(a) asm volatile("vfmadd231ps %1, %2, %0" : "+v"(a) : "v"(x), "v"(y));
#define GAVEL_DPWSSD(a) asm volatile("vpdpwssd %1, %2, %0" : "+v"(a) : "v"(x), "v"(y));
#define GAVEL_DPBUSD(a) asm volatile("vpdpbusd %1, %2, %0" : "+v"(a) : "v"(x), "v"(y));
#define GAVEL_MADDWD(a) \
  asm volatile("vpmaddwd %2, %3, %1\n vpaddd %1, %0, %0" : "+x"(a), "=&x"(t) : "x"(x), "x"(y));
#define GAVEL_MADDUBS(a) \
  asm volatile("vpmaddubsw %2, %3, %1\n vpaddw %1, %0, %0" : "+x"(a), "=&x"(t) : "x"(x), "x"(y));
GAVEL_PEAK(peak_fma256, "avx2,fma", __m256, 8, _mm256_setzero_ps(), GAVEL_FMA)
GAVEL_PEAK(peak_maddwd256, "avx2", __m256i, 16, _mm256_setzero_si256(), GAVEL_MADDWD)
GAVEL_PEAK(peak_maddubs256, "avx2", __m256i, 32, _mm256_setzero_si256(), GAVEL_MADDUBS)
GAVEL_PEAK(peak_fma512, "avx512f", __m512, 16, _mm512_setzero_ps(), GAVEL_FMA)
GAVEL_PEAK(peak_dpwssd512, "avx512f,avx512vnni", __m512i, 32, _mm512_setzero_si512(), GAVEL_DPWSSD)
GAVEL_PEAK(peak_dpbusd512, "avx512f,avx512vnni", __m512i, 64, _mm512_setzero_si512(), GAVEL_DPBUSD)

void peak(State& state, void (*loop)(int64_t), int products, bool supported) {
  if (!supported) return state.SkipWithError("not on this processor");
  constexpr int64_t kRounds = 200'000;
  for (auto _ : state)
    parallel_for(num_threads(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) loop(kRounds);
    });
  report_flops(state, 2.0 * 10 * products * kRounds * num_threads());
}
const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
const bool has_vnni = __builtin_cpu_supports("avx512vnni");
BENCHMARK_CAPTURE(peak, fma256, peak_fma256, 8, has_avx2)->UseRealTime();
BENCHMARK_CAPTURE(peak, fma512, peak_fma512, 16, has_vnni)->UseRealTime();
BENCHMARK_CAPTURE(peak, maddwd256, peak_maddwd256, 16, has_avx2)->UseRealTime();
BENCHMARK_CAPTURE(peak, maddubs256, peak_maddubs256, 32, has_avx2)->UseRealTime();
BENCHMARK_CAPTURE(peak, dpwssd512, peak_dpwssd512, 32, has_vnni)->UseRealTime();
BENCHMARK_CAPTURE(peak, dpbusd512, peak_dpbusd512, 64, has_vnni)->UseRealTime();
#endif

void read_memory(State& state) {
  std::vector<uint64_t> memory(size_t{256} << 17, 1);  // 256 MiB
  for (auto _ : state)
    parallel_for(static_cast<int64_t>(memory.size()), 4096, [&](int64_t begin, int64_t end) {
      uint64_t sums[16] = {};
      for (int64_t i = begin; i < end; i += 16)
        for (int j = 0; j < 16; ++j) sums[j] += memory[i + j];
      benchmark::DoNotOptimize(sums);
    });
  report_bytes(state, static_cast<double>(memory.size()) * 8);
}
BENCHMARK(read_memory)->UseRealTime();

void fork_join(State& state) {
  for (auto _ : state) parallel_for(num_threads(), 1, [](int64_t, int64_t) {});
}
BENCHMARK(fork_join)->UseRealTime();

// ---- linear layers: rows, n, k ----

void layer_shapes(benchmark::internal::Benchmark* b) {
  for (int64_t rows : {64, 512, 2048})
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{576, 576}, {1536, 576}, {576, 1536}})
      b->Args({rows, n, k});
  b->Args({512, 192, 576});
  b->UseRealTime();
}

void forward(State& state, Precision precision, bool with_lora) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2), r = 8;
  const QuantizedWeight w = quantized(n, k, 4);
  const auto x = normals(rows * k), a = normals(k * r), b = normals(r * n);
  std::vector<float> y(rows * n), xa(rows * r);
  const LoraView lora{a.data(), b.data(), r, 2.0f};
  const LinearTask task{
      .weight = w.view, .y = y.data(), .lora = with_lora ? &lora : nullptr, .xa = xa.data()};
  for (auto _ : state) linear_forward(x.data(), rows, {&task, 1}, precision);
  report_flops(state, 2.0 * static_cast<double>(rows * n * k));
}
BENCHMARK_CAPTURE(forward, float32, Precision::float32, false)->Apply(layer_shapes);
BENCHMARK_CAPTURE(forward, float32_lora, Precision::float32, true)->Apply(layer_shapes);
BENCHMARK_CAPTURE(forward, int16, Precision::int16, false)->Apply(layer_shapes);
BENCHMARK_CAPTURE(forward, int8, Precision::int8, false)->Apply(layer_shapes);

void backward(State& state, bool with_lora) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2), r = 8;
  const QuantizedWeight w = quantized(n, k, 4);
  const auto dy = normals(rows * n), a = normals(k * r), b = normals(r * n);
  std::vector<float> dx(rows * k), dyb(rows * r);
  const LoraView lora{a.data(), b.data(), r, 2.0f};
  for (auto _ : state)
    linear_backward_input(dy.data(), rows, w.view, with_lora ? &lora : nullptr, dyb.data(),
                          dx.data(), false, Precision::float32);
  report_flops(state, 2.0 * static_cast<double>(rows * n * k));
}
BENCHMARK_CAPTURE(backward, exact, false)->Apply(layer_shapes);
BENCHMARK_CAPTURE(backward, exact_lora, true)->Apply(layer_shapes);

void lora_gradients(State& state) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2), r = 8;
  const auto x = normals(rows * k), dy = normals(rows * n), xa = normals(rows * r);
  const auto dyb = normals(rows * r), a = normals(k * r), b = normals(r * n);
  std::vector<float> da(k * r), db(r * n);
  const LoraView lora{a.data(), b.data(), r, 2.0f};
  for (auto _ : state)
    lora_backward(x.data(), dy.data(), xa.data(), dyb.data(), rows, k, n, lora, da.data(),
                  db.data());
  report_flops(state, 2.0 * static_cast<double>(rows * r * (n + k)));
}
BENCHMARK(lora_gradients)->Apply(layer_shapes);

void dense(State& state, bool back) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  const auto data = normals(n * k);
  const WeightView w{n, k, data.data()};
  const auto x = normals(rows * std::max(n, k));
  std::vector<float> y(rows * std::max(n, k));
  const LinearTask task{.weight = w, .y = y.data()};
  for (auto _ : state) {
    if (back)
      linear_backward_input(x.data(), rows, w, nullptr, nullptr, y.data(), false,
                            Precision::float32);
    else
      linear_forward(x.data(), rows, {&task, 1}, Precision::float32);
  }
  report_flops(state, 2.0 * static_cast<double>(rows * n * k));
}
BENCHMARK_CAPTURE(dense, forward, false)->Apply(layer_shapes);
BENCHMARK_CAPTURE(dense, backward, true)->Apply(layer_shapes);

// One token (or a few): bounded by the reading of the weights. rows, n, k, bits.
void few_rows(State& state, Precision precision) {
  const int64_t rows = state.range(0), n = state.range(1), k = state.range(2);
  const int bits = static_cast<int>(state.range(3));
  const QuantizedWeight w = quantized(n, k, bits);
  const auto x = normals(rows * k);
  std::vector<float> y(rows * n);
  const LinearTask task{.weight = w.view, .y = y.data()};
  for (auto _ : state) linear_forward(x.data(), rows, {&task, 1}, precision);
  report_bytes(state, static_cast<double>(n * k) * (bits / 8.0 + 4.0 / 32));
  report_flops(state, 2.0 * static_cast<double>(rows * n * k));
}
void few_row_shapes(benchmark::internal::Benchmark* b) {
  for (int64_t rows : {1, 2, 4, 8, 12, 16, 24, 32, 48}) {
    b->Args({rows, 49152, 576, 8});
    b->Args({rows, 1536, 576, 4});
    b->Args({rows, 262144, 576, 4});  // larger than the caches
  }
  b->UseRealTime();
}
BENCHMARK_CAPTURE(few_rows, float32, Precision::float32)->Apply(few_row_shapes);
BENCHMARK_CAPTURE(few_rows, int16, Precision::int16)->Apply(few_row_shapes);
BENCHMARK_CAPTURE(few_rows, int8, Precision::int8)->Apply(few_row_shapes);

// ---- loss ----

void loss(State& state, bool with_gradient) {
  const int64_t rows = state.range(0), n = 49152, k = 576;
  const QuantizedWeight w = quantized(n, k, 8);
  const auto h = normals(rows * k, 0.05f);
  std::vector<float> losses(rows), dh(rows * k);
  std::vector<int32_t> targets(rows, 17);
  for (auto _ : state)
    cross_entropy(h.data(), rows, w.view, targets.data(), nullptr, losses.data(),
                  with_gradient ? dh.data() : nullptr, Precision::float32);
  report_flops(state, (with_gradient ? 4.0 : 2.0) * static_cast<double>(rows * n * k));
}
BENCHMARK_CAPTURE(loss, forward, false)->Arg(64)->Arg(512)->UseRealTime();
BENCHMARK_CAPTURE(loss, with_gradient, true)->Arg(64)->Arg(512)->UseRealTime();

// ---- attention: segments, length; SmolLM2's heads ----

constexpr int64_t kHeads = 9, kKvHeads = 3, kHeadDim = 64;

void attention(State& state, bool back) {
  const int64_t segments = state.range(0), length = state.range(1), rows = segments * length;
  std::vector<int32_t> starts;
  for (int64_t s = 0; s <= segments; ++s) starts.push_back(static_cast<int32_t>(s * length));
  const auto q = normals(rows * kHeads * kHeadDim), k = normals(rows * kKvHeads * kHeadDim);
  const auto v = normals(rows * kKvHeads * kHeadDim), dout = normals(q.size(), 0.1f);
  std::vector<float> out(q.size()), lse(rows * kHeads), dq(q.size()), dk(k.size()), dv(v.size());
  attention_forward(q.data(), k.data(), v.data(), {starts, {}}, kHeads, kKvHeads, kHeadDim, 0.125f,
                    out.data(), lse.data());
  for (auto _ : state) {
    if (back)
      attention_backward(q.data(), k.data(), v.data(), out.data(), lse.data(), dout.data(),
                         {starts, {}}, kHeads, kKvHeads, kHeadDim, 0.125f, dq.data(), dk.data(),
                         dv.data());
    else
      attention_forward(q.data(), k.data(), v.data(), {starts, {}}, kHeads, kKvHeads, kHeadDim,
                        0.125f, out.data(), lse.data());
  }
  // Half of the score matrix; 2 products forward, 5 backward.
  report_flops(state, (back ? 5.0 : 2.0) * static_cast<double>(segments * length * (length + 1)) *
                          kHeads * kHeadDim);
}
BENCHMARK_CAPTURE(attention, forward, false)
    ->Args({4, 128})
    ->Args({4, 512})
    ->Args({1, 2048})
    ->UseRealTime();
BENCHMARK_CAPTURE(attention, backward, true)
    ->Args({4, 128})
    ->Args({4, 512})
    ->Args({1, 2048})
    ->UseRealTime();

// sequences, cached rows
void cached_attention(State& state) {
  const int64_t count = state.range(0), length = state.range(1);
  const auto k = normals(count * length * kKvHeads * kHeadDim), v = k;
  const auto q = normals(count * kHeads * kHeadDim);
  std::vector<float> out(q.size());
  std::vector<CachedSequence> sequences;
  std::vector<int32_t> starts{0};
  for (int64_t s = 0; s < count; ++s) {
    const int64_t at = s * length * kKvHeads * kHeadDim;
    sequences.push_back({nullptr, nullptr, 0, k.data() + at, v.data() + at, length});
    starts.push_back(static_cast<int32_t>(s + 1));
  }
  for (auto _ : state)
    attention_cached(q.data(), starts, sequences, kHeads, kKvHeads, kHeadDim, 0.125f, out.data());
  report_bytes(state, 8.0 * static_cast<double>(k.size()));
}
BENCHMARK(cached_attention)->Args({1, 512})->Args({16, 512})->Args({1, 4096})->UseRealTime();

// ---- rows and elements ----

void elementwise(State& state, int which) {
  const int64_t rows = 512, dim = which <= 1 ? 576 : 1536, count = rows * dim;
  const auto a = normals(count), b = normals(count), c = normals(count), weight = normals(dim);
  std::vector<float> y(count), z(count), inv(rows);
  std::vector<int32_t> positions(rows, 300);
  const auto frequencies = normals(32);
  for (auto _ : state) {
    if (which == 0)
      rms_norm(a.data(), weight.data(), rows, dim, 1e-5f, y.data(), inv.data());
    else if (which == 1)
      rms_norm_backward(a.data(), weight.data(), nullptr, b.data(), rows, dim, 1e-5f, y.data(),
                        true);
    else if (which == 2)
      swiglu(a.data(), b.data(), count, y.data());
    else if (which == 3)
      swiglu_backward(a.data(), b.data(), c.data(), count, y.data(), z.data());
    else if (which == 4)
      rope(a.data(), positions.data(), frequencies.data(), rows, dim / 64, 64, false, y.data());
    else
      adamw(y.data(), a.data(), z.data(), z.data(), count, {1e-4f, 0.9f, 0.999f, 1e-8f, 0, 0, 1});
  }
  report_bytes(state, 4.0 * static_cast<double>(count) *
                          (which == 0 || which == 4 ? 2
                           : which == 2             ? 3
                           : which == 5             ? 7
                           : which == 1             ? 4
                                                    : 5));
}
BENCHMARK_CAPTURE(elementwise, rms_norm, 0)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, rms_norm_backward, 1)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, swiglu, 2)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, swiglu_backward, 3)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, rope, 4)->UseRealTime();
BENCHMARK_CAPTURE(elementwise, adamw, 5)->UseRealTime();

}  // namespace
}  // namespace gavel::kernels

BENCHMARK_MAIN();
