// Row-wise and elementwise kernels: how the work is divided.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/simd.h"

namespace gavel::kernels {

void rms_norm(const float* x, const float* weight, int64_t rows, int64_t dim, float eps, float* y,
              float* inv_rms) {
  parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
    simd().rms_norm_rows(x + begin * dim, weight, end - begin, dim, eps, y + begin * dim,
                         inv_rms ? inv_rms + begin : nullptr);
  });
}

void rms_norm_backward(const float* x, const float* weight, const float* inv_rms, const float* dy,
                       int64_t rows, int64_t dim, float eps, float* dx, bool accumulate) {
  parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
    simd().rms_norm_backward_rows(x + begin * dim, weight, inv_rms ? inv_rms + begin : nullptr,
                                  dy + begin * dim, end - begin, dim, eps, dx + begin * dim,
                                  accumulate);
  });
}

void swiglu(const float* gate, const float* up, int64_t count, float* y) {
  parallel_for(count, 4096, [&](int64_t begin, int64_t end) {
    simd().swiglu_range(gate + begin, up + begin, end - begin, y + begin);
  });
}

void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count,
                     float* dgate, float* dup) {
  parallel_for(count, 4096, [&](int64_t begin, int64_t end) {
    simd().swiglu_backward_range(gate + begin, up + begin, dy + begin, end - begin, dgate + begin,
                                 dup + begin);
  });
}

void adamw(float* param, const float* grad, float* m, float* v, int64_t count,
           const AdamWParams& p) {
  const auto correction = [&](float beta) {
    if (!p.bias_correction) return 1.0f;
    return static_cast<float>(1.0 / (1.0 - std::pow(double{beta}, static_cast<double>(p.step))));
  };
  const float correct1 = correction(p.beta1), correct2 = correction(p.beta2);
  parallel_for(count, 16384, [&](int64_t begin, int64_t end) {
    simd().adamw_range(param + begin, grad + begin, m + begin, v + begin, end - begin, p, correct1,
                       correct2);
  });
}

double log_sum_exp(const float* x, int64_t n) {
  float top;
  // The values stay as they are: terms are not kept.
  const float sum = simd().softmax_terms(const_cast<float*>(x), n, false, &top);
  return double{top} + std::log(double{sum});
}

double l2_norm(const float* x, int64_t count) {
  // Blocks of a fixed size, summed in order: the same result for any number of threads.
  constexpr int64_t kBlock = 1 << 16;
  static thread_local std::vector<double> memory;
  memory.resize((count + kBlock - 1) / kBlock);
  double* sums = memory.data();
  parallel_for(static_cast<int64_t>(memory.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      double sum[8] = {};
      const int64_t stop = std::min(count, (b + 1) * kBlock);
      int64_t i = b * kBlock;
      for (; i + 8 <= stop; i += 8)
        for (int j = 0; j < 8; ++j) sum[j] += double{x[i + j]} * double{x[i + j]};
      for (; i < stop; ++i) sum[0] += double{x[i]} * double{x[i]};
      for (int j = 1; j < 8; ++j) sum[0] += sum[j];
      sums[b] = sum[0];
    }
  });
  double total = 0;
  for (double s : memory) total += s;
  return std::sqrt(total);
}

void scale_in_place(float* x, int64_t count, float factor) {
  parallel_for(count, 1 << 16, [&](int64_t begin, int64_t end) {
    simd().scale_range(x + begin, end - begin, factor);
  });
}

}  // namespace gavel::kernels
