// Products with weights (dense or quantized), forward and backward, and the LoRA branch.
#include "ops/cpu/linear.h"

#include <algorithm>

#include "ops/cpu/few_rows.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/weight_panel.h"

namespace gavel::kernels {
namespace {

// Columns [begin, end) of a row, dense weights by vectors.
void load_row(const WeightView& w, int64_t row, int64_t begin, int64_t end, float* out) {
  if (w.quantized()) return dequantize_row(w, row, begin, end, out);
  simd().convert_scalars(
      w.type, static_cast<const uint8_t*>(w.data) + (row * w.k + begin) * scalar_bytes(w.type), 1,
      end - begin, out);
}

// The weight as [k, n]: panels of x W^T.
PackF32 pack_weight_forward(const WeightView& w) {
  if (w.quantized() && w.group_size % kBlock == 0)
    return [&w](int64_t column, int64_t count, int64_t d0, int64_t d1, float* out) {
      static thread_local WeightColumns columns;
      columns.load(w, column, count, d0, d1, 0);
      simd().pack_forward_f32(columns.words, columns.bits, (d1 - d0) / kBlock, columns.scales,
                              columns.biases, out);
    };
  return [&w](int64_t column, int64_t count, int64_t d0, int64_t d1, float* out) {
    static thread_local Scratch<float> rows;
    const int64_t depth = d1 - d0;
    float* block = rows.get(count * depth);
    for (int64_t j = 0; j < count; ++j) load_row(w, column + j, d0, d1, block + j * depth);
    simd().transpose(block, depth, count, depth, out);
  };
}

// The weight as [n, k]: panels of dy W.
PackF32 pack_weight_backward(const WeightView& w) {
  if (w.quantized() && w.group_size % simd().panel == 0 && (w.bits == 4 || w.bits == 8))
    return [&w](int64_t column, int64_t, int64_t d0, int64_t d1, float* out) {
      float scales[kPanelDepth], biases[kPanelDepth];
      load_scalars(w, w.scales, d0, column / w.group_size, true, d1 - d0, scales);
      load_scalars(w, w.biases, d0, column / w.group_size, true, d1 - d0, biases);
      simd().pack_backward_f32(packed_row(w, d0) + column * w.bits / 8, w.k * w.bits / 8, w.bits,
                               d1 - d0, scales, biases, out);
    };
  return [&w](int64_t column, int64_t count, int64_t d0, int64_t d1, float* out) {
    const int64_t panel = simd().panel;
    for (int64_t d = d0; d < d1; ++d, out += panel) {
      load_row(w, d, column, column + count, out);
      std::fill(out + count, out + panel, 0.0f);
    }
  };
}

// The rows as integers, or none for f32.
QuantizedRows quantize(Arithmetic kind, const float* x, int64_t rows, const WeightView& w) {
  if (kind == Arithmetic::int16) return quantize_for_forward(x, rows, w.k);
  if (kind == Arithmetic::int8) return quantize_to_bytes(x, rows, w);
  return {};
}

void linear_forward(const float* x, int64_t rows, const LinearTask& task, Arithmetic kind,
                    const QuantizedRows& quantized) {
  const WeightView& w = task.weight;
  const LoraView* lora = task.lora;
  PackF32 lora_b;
  if (lora) {
    product_f32(x, w.k, 1, rows, lora->r, w.k, pack_rows(lora->a, lora->r), task.xa);
    lora_b = pack_rows(lora->b, w.n, lora->scale);
  }
  const PackF32 weight = pack_weight_forward(w);
  for_pieces(rows, w.n, [&](const Piece& p) {
    if (kind == Arithmetic::f32)
      multiply_f32(p, x + p.row * w.k, w.k, 1, w.k, weight);
    else
      multiply_forward(p, quantized, w);
    if (lora) multiply_f32(p, task.xa + p.row * lora->r, lora->r, 1, lora->r, lora_b);
    const int64_t at = p.row * w.n + p.column;
    simd().store_tile(p.acc, p.rows, p.columns, task.bias ? task.bias + p.column : nullptr,
                      task.residual ? task.residual + at : nullptr, task.y + at, w.n);
  });
}

}  // namespace

void linear_forward(const float* x, int64_t rows, std::span<const LinearTask> tasks,
                    Precision precision) {
  for (const LinearTask& task : tasks) check_weight(task.weight);
  if (rows <= 0) return;
  const auto few = [&](const LinearTask& t) { return few_rows_suffice(t.weight, rows, precision); };
  if (std::all_of(tasks.begin(), tasks.end(), few)) return linear_few(x, rows, tasks, precision);
  QuantizedRows quantized;
  const WeightView* quantized_for = nullptr;
  for (const LinearTask& task : tasks) {
    const Arithmetic kind = arithmetic(task.weight, precision);
    const bool again = !quantized_for || kind != arithmetic(*quantized_for, precision) ||
                       task.weight.bits != quantized_for->bits;
    if (again) quantized = quantize(kind, x, rows, task.weight);
    quantized_for = &task.weight;
    linear_forward(x, rows, task, kind, quantized);
  }
}

void linear_backward_input(const float* dy, int64_t rows, const WeightView& w, const LoraView* lora,
                           float* dyb, float* dx, bool accumulate, Precision precision) {
  check_weight(w);
  if (rows <= 0) return;
  const bool integers = arithmetic(w, precision) != Arithmetic::f32;
  QuantizedRows quantized;
  static thread_local Scratch<float> offsets;
  float* z = nullptr;
  if (integers) {
    quantized = quantize_for_backward(dy, rows, w.n);
    z = offsets.get(rows * (w.k / w.group_size));
    offset_product(dy, rows, w, z);
  }
  PackF32 lora_a;
  if (lora) {
    product_f32(dy, w.n, 1, rows, lora->r, w.n, pack_transposed(lora->b, w.n), dyb);
    scale_in_place(dyb, rows * lora->r, lora->scale);
    lora_a = pack_transposed(lora->a, lora->r);
  }
  const PackF32 weight = pack_weight_backward(w);
  constexpr int64_t kDeep = 8 * kPanelDepth, kFewRows = 256;  // the head, a chunk of the loss
  if (!integers && !lora && w.n >= kDeep && rows <= kFewRows)
    return product_deep_f32(dy, rows, w.k, w.n, weight, accumulate, dx);
  for_pieces(rows, w.k, [&](const Piece& p) {
    if (integers) {
      add_offsets(p, z, w);
      multiply_backward(p, quantized, w);
    } else {
      multiply_f32(p, dy + p.row * w.n, w.n, 1, w.n, weight);
    }
    if (lora) multiply_f32(p, dyb + p.row * lora->r, lora->r, 1, lora->r, lora_a);
    float* to = dx + p.row * w.k + p.column;
    simd().store_tile(p.acc, p.rows, p.columns, nullptr, accumulate ? to : nullptr, to, w.k);
  });
}

void lora_backward(const float* x, const float* dy, const float* xa, const float* dyb, int64_t rows,
                   int64_t k, int64_t n, const LoraView& lora, float* da, float* db) {
  // da^T = dyb^T x, so that the long side lies along the vectors.
  const int64_t r = lora.r;
  static thread_local Scratch<float> transposed;
  float* at = transposed.get(r * k);
  product_f32(dyb, 1, r, r, k, rows, x, at);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < r; ++j) da[i * r + j] = at[j * k + i];
  product_f32(xa, 1, r, r, n, rows, dy, db);
  scale_in_place(db, r * n, lora.scale);
}

}  // namespace gavel::kernels
