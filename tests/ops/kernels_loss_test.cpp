// Cross-entropy under the head against float64 and finite differences.
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/kernels_support.h"

namespace gavel::kernels::testing {
namespace {

class CrossEntropy : public EverySimd {};
GAVEL_EVERY_SIMD(CrossEntropy);

void reference(const Floats& h, const TestWeight& w, const std::vector<int32_t>& targets,
               const Floats& weights, Doubles& losses, Doubles& dh) {
  const int64_t k = w.view.k, n = w.view.n, rows = static_cast<int64_t>(targets.size());
  losses.clear();
  dh.assign(rows * k, 0.0);
  for (int64_t t = 0; t < rows; ++t) {
    Doubles logits(n);
    for (int64_t o = 0; o < n; ++o)
      for (int64_t i = 0; i < k; ++i) logits[o] += h[t * k + i] * w.values[o * k + i];
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (double x : logits) sum += std::exp(x - top);
    losses.push_back(top + std::log(sum) - logits[targets[t]]);
    for (int64_t o = 0; o < n; ++o) {
      const double p = std::exp(logits[o] - top) / sum - (o == targets[t] ? 1 : 0);
      for (int64_t i = 0; i < k; ++i) dh[t * k + i] += weights[t] * p * w.values[o * k + i];
    }
  }
}

TEST_P(CrossEntropy, AnyShape) {
  Random random(1);
  for (int i = 0; i < 40; ++i) {
    const int bits = random.pick({0, 4, 8, 8, 6});
    const int64_t k = 32 * random.integer(1, 6), rows = random.integer(1, 50);
    const int64_t n = random.pick<int64_t>({1, 7, random.integer(2, 700), 512});
    const ScalarType type = random.pick({ScalarType::f32, ScalarType::f16, ScalarType::bf16});
    SCOPED_TRACE(fmt::format("rows {} n {} k {} bits {}", rows, n, k, bits));
    const TestWeight w = make_weight(random, n, k, type, bits, 32);
    const Floats h = random.normals(rows * k, 3.0f);
    Floats weights = random.normals(rows);
    std::vector<int32_t> targets(rows);
    for (int32_t& t : targets) t = static_cast<int32_t>(random.integer(0, n - 1));
    const bool plain = i % 3 == 0;
    if (plain) weights.assign(rows, 1.0f);
    Doubles want, want_dh;
    reference(h, w, targets, weights, want, want_dh);
    Floats losses(rows), dh(rows * k, 5.0f), alone(rows);
    cross_entropy(h.data(), rows, w.view, targets.data(), plain ? nullptr : weights.data(),
                  losses.data(), dh.data(), Precision::float32);
    cross_entropy(h.data(), rows, w.view, targets.data(), nullptr, alone.data(), nullptr,
                  Precision::float32);
    if (n == 1) {  // the loss is 0: nothing to be relative to
      for (float f : losses) EXPECT_NEAR(f, 0.0f, 1e-5f);
      continue;
    }
    expect_near(losses, want, 2e-5, "losses");
    expect_near(alone, want, 2e-5, "losses without gradient");
    expect_near(dh, want_dh, 3e-5, "dh");
  }
}

TEST_P(CrossEntropy, FiniteDifferences) {
  Random random(2);
  const TestWeight w = make_weight(random, 23, 32, ScalarType::f16, 8, 32);
  Floats h = random.normals(2 * 32);
  const std::vector<int32_t> targets{4, 22};
  const Floats weights{0.5f, 2.0f};
  Floats losses(2), dh(64);
  cross_entropy(h.data(), 2, w.view, targets.data(), weights.data(), losses.data(), dh.data(),
                Precision::float32);
  Doubles slopes;
  for (float& x : h) {
    Doubles up, down, unused;
    const float keep = x;
    x = keep + 0x1p-10f;
    reference(h, w, targets, weights, up, unused);
    x = keep - 0x1p-10f;
    reference(h, w, targets, weights, down, unused);
    x = keep;
    slopes.push_back((0.5 * (up[0] - down[0]) + 2.0 * (up[1] - down[1])) / 0x1p-9);
  }
  expect_near(dh, slopes, 3e-5, "dh");
}

TEST_P(CrossEntropy, RefusesForeignTargets) {
  Random random(3);
  const TestWeight w = make_weight(random, 23, 32, ScalarType::f16, 8, 32);
  const Floats h = random.normals(32);
  Floats loss(1);
  for (int32_t target : {-1, 23})
    EXPECT_THROW(cross_entropy(h.data(), 1, w.view, &target, nullptr, loss.data(), nullptr,
                               Precision::float32),
                 Error);
}

}  // namespace
}  // namespace gavel::kernels::testing
