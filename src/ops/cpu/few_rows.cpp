#include "ops/cpu/few_rows.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/simd.h"

namespace gavel::kernels {
namespace {

// Rows up to which reading the weight in place beats packing it: with 4 bits in integers of 8 and
// of 16 bits, with 8 in either, and in f32.
constexpr int64_t kMostRows4 = 6, kMostRows4Int16 = 12, kMostRows8 = 12, kMostExactRows = 6;

bool in_integers(const WeightView& w, Precision precision) {
  return precision != Precision::float32 && w.quantized() && (w.bits == 4 || w.bits == 8) &&
         w.group_size % 32 == 0 && simd().few_multiply;
}

int digits(Precision precision) { return precision == Precision::int8 ? 1 : 2; }

// xa[rows, r] = x a
void lora_down(const float* x, int64_t rows, int64_t k, const LoraView& lora, float* xa) {
  for (int64_t t = 0; t < rows; ++t) {
    float* out = xa + t * lora.r;
    std::fill_n(out, lora.r, 0.0f);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < lora.r; ++j) out[j] += x[t * k + i] * lora.a[i * lora.r + j];
  }
}

}  // namespace

bool few_rows_suffice(const WeightView& w, int64_t rows, Precision precision) {
  if (!in_integers(w, precision)) return rows <= kMostExactRows;
  if (w.bits == 8) return rows <= kMostRows8;
  return rows <= (precision == Precision::int8 ? kMostRows4 : kMostRows4Int16);
}

int64_t few_columns_at_a_time(const WeightView& w, int64_t columns) {
  const int64_t dense_bits = w.type == ScalarType::f32 ? 32 : 16;
  const int64_t column_bytes =
      std::max<int64_t>(1, w.k * (w.quantized() ? w.bits : dense_bits) / 8);
  return std::max(65536 / column_bytes, columns / (2 * num_threads())) / 32 * 32 + 32;
}

namespace {

// The activations as a weight of `bits` meets them.
struct FewInput {
  const int8_t* values = nullptr;
  const float* floats = nullptr;
  int digits = 0;
};

FewInput quantize(const float* x, int64_t rows, int64_t k, int bits, int digits) {
  static thread_local Scratch<int8_t> value_memory[2];
  static thread_local Scratch<float> float_memory[2];
  const Simd& s = simd();
  int64_t value_count, float_count;
  s.few_sizes(k, bits, digits, &value_count, &float_count);
  int8_t* values = value_memory[bits == 4].get(rows * value_count);
  float* floats = float_memory[bits == 4].get(rows * float_count);
  parallel_for(rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      s.few_quantize(x + t * k, k, bits, digits, values + t * value_count,
                     floats + t * float_count);
  });
  return {values, floats, digits};
}

// Outputs [begin, end) of one task.
void few_columns(const float* x, int64_t rows, const LinearTask& task, bool integers,
                 const FewInput& input, int64_t begin, int64_t end) {
  constexpr int64_t kColumns = 1024;
  static thread_local Scratch<float> sums, scratch;
  const Simd& s = simd();
  const WeightView& w = task.weight;
  float* room = scratch.get(integers ? s.few_scratch(w.k) : 3 * w.k);
  float* acc = sums.get(rows * kColumns);
  for (int64_t n0 = begin; n0 < end; n0 += kColumns) {
    const int64_t n1 = std::min(end, n0 + kColumns), count = n1 - n0;
    if (integers)
      s.few_multiply(w, n0, n1, rows, input.digits, input.values, input.floats, room, acc, count);
    else
      s.dot_rows(w, n0, n1, x, rows, room, acc, count);
    for (int64_t t = 0; t < rows; ++t) {
      float* out = acc + t * count;
      if (task.bias)
        for (int64_t j = 0; j < count; ++j) out[j] += task.bias[n0 + j];
      for (int64_t i = 0; task.lora && i < task.lora->r; ++i) {
        const float factor = task.lora->scale * task.xa[t * task.lora->r + i];
        const float* b = task.lora->b + i * w.n + n0;
        for (int64_t j = 0; j < count; ++j) out[j] += factor * b[j];
      }
      float* to = task.y + t * w.n + n0;
      const float* add = task.residual ? task.residual + t * w.n + n0 : nullptr;
      for (int64_t j = 0; j < count; ++j) to[j] = out[j] + (add ? add[j] : 0.0f);
    }
  }
}

}  // namespace

void linear_few(const float* x, int64_t rows, std::span<const LinearTask> tasks,
                Precision precision) {
  FewInput inputs[2];  // for weights of 8 and of 4 bits
  int64_t columns = 0;
  for (const LinearTask& task : tasks) {
    const WeightView& w = task.weight;
    columns += w.n;
    if (auto& input = inputs[w.bits == 4]; in_integers(w, precision) && !input.values)
      input = quantize(x, rows, w.k, w.bits, digits(precision));
    if (task.lora) lora_down(x, rows, w.k, *task.lora, task.xa);
  }
  const int64_t grain = few_columns_at_a_time(tasks[0].weight, columns);
  parallel_for_dynamic(columns, grain, [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of the task's columns
    for (const LinearTask& task : tasks) {
      const WeightView& w = task.weight;
      const int64_t from = std::max(begin - first, int64_t{0}), to = std::min(end - first, w.n);
      first += w.n;
      if (from < to)
        few_columns(x, rows, task, in_integers(w, precision), inputs[w.bits == 4], from, to);
    }
  });
}

}  // namespace gavel::kernels
