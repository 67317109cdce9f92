// Softmax cross-entropy under the head, a chunk of rows at a time: the logits of a chunk are made,
// turned into their gradient in place, and multiplied back, so the head is read twice in all.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/simd.h"
#include "ops/cpu/weight_rows.h"

namespace gavel::kernels {
namespace {

constexpr int64_t kLogits = 8 << 20;  // of a chunk: 32 MiB

// A chunk of whole tiles, all chunks about equal.
int64_t chunk_rows(int64_t rows, int64_t vocabulary) {
  const int64_t most = std::max<int64_t>(12, kLogits / vocabulary / 12 * 12);
  const int64_t chunks = (rows + most - 1) / most;
  return std::min(most, ((rows + chunks - 1) / chunks + 11) / 12 * 12);
}

}  // namespace

void cross_entropy(const float* h, int64_t rows, const WeightView& w, const int32_t* targets,
                   const float* weights, float* losses, float* dh, Precision precision) {
  check_weight(w);
  for (int64_t t = 0; t < rows; ++t)
    if (targets[t] < 0 || targets[t] >= w.n)
      fail("target id {} is outside the vocabulary of {}", targets[t], w.n);
  if (rows <= 0) return;
  const int64_t chunk = chunk_rows(rows, w.n);
  static thread_local Scratch<float> memory;
  float* logits = memory.get(std::min(chunk, rows) * w.n);
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    const LinearTask head{.weight = w, .y = logits};
    linear_forward(h + first * w.k, count, {&head, 1}, precision);
    parallel_for_dynamic(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* row = logits + i * w.n;
        const int64_t t = first + i;
        const float target = row[targets[t]];
        float top;
        const float sum = simd().softmax_terms(row, w.n, dh != nullptr, &top);
        losses[t] = (top - target) + std::log(sum);
        if (!dh) continue;
        const float weight = weights ? weights[t] : 1.0f;
        simd().scale_range(row, w.n, weight / sum);
        row[targets[t]] -= weight;
      }
    });
    if (dh)
      linear_backward_input(logits, count, w, nullptr, nullptr, dh + first * w.k, false, precision);
  }
}

}  // namespace gavel::kernels
