// Each fused operation against the same operation composed of MLX's own: values and gradients.
#include <gtest/gtest.h>

#include "ops/ops.h"

namespace gavel {
namespace {

mx::array normal(const mx::Shape& shape, uint64_t seed, float deviation = 1.0f) {
  auto a = mx::random::normal(shape, mx::float32, 0.0f, deviation, mx::random::key(seed));
  a.eval();
  return a;
}

Weight quantized(int n, int k, int bits, int group_size, uint64_t seed) {
  const auto parts = mx::quantize(normal({n, k}, seed, 0.1f), group_size, bits);
  Weight w{.data = parts[0],
           .scales = parts[1],
           .biases = parts[2],
           .group_size = group_size,
           .bits = bits};
  mx::eval({w.data, *w.scales, *w.biases});
  return w;
}

using Function = std::function<mx::array(const Backend&, const Arrays&)>;

// The value of f and its gradients for all inputs, weighted by fixed random numbers.
Arrays value_and_gradients(const Function& f, const Backend& backend, const Arrays& inputs) {
  const auto weighted = [&](const Arrays& in) {
    const auto y = f(backend, in);
    return mx::sum(mx::multiply(y, normal(y.shape(), 99)));
  };
  std::vector<int> all(inputs.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  Arrays result{f(backend, inputs)};
  const auto grads =
      mx::value_and_grad(std::function<mx::array(const Arrays&)>(weighted), all)(inputs).second;
  result.insert(result.end(), grads.begin(), grads.end());
  mx::eval(result);
  return result;
}

void expect_equal(const Function& f, const Arrays& inputs, float tolerance = 2e-5f) {
  const auto fused_way = value_and_gradients(f, cpu_backend(), inputs);
  const auto composed_way = value_and_gradients(f, composed_backend(), inputs);
  for (size_t i = 0; i < fused_way.size(); ++i) {
    const auto difference = mx::sqrt(mx::sum(mx::square(fused_way[i] - composed_way[i])));
    const auto size = mx::sqrt(mx::sum(mx::square(composed_way[i])));
    EXPECT_LT(mx::divide(difference, size).item<float>(), tolerance)
        << (i == 0 ? "value" : "gradient of input") << " " << i;
  }
}

TEST(Fused, LinearWithLora) {
  for (const int bits : {4, 8}) {
    const Weight w = quantized(48, 64, bits, 32, 1);
    const auto f = [&](const Backend& b, const Arrays& in) {
      const LinearBranch branch{w, normal({48}, 7),
                                LoraBranch{.a = in[1], .b = in[2], .scale = 1.5f, .key = {}}};
      return linear(b, in[0], branch, in[3]);
    };
    expect_equal(f, {normal({19, 64}, 2), normal({64, 5}, 3, 0.2f), normal({5, 48}, 4, 0.2f),
                     normal({19, 48}, 5)});
  }
}

TEST(Fused, LinearsThatShareTheirInput) {
  const Weight q = quantized(64, 64, 4, 32, 1), k = quantized(32, 64, 4, 32, 2);
  const auto f = [&](const Backend& b, const Arrays& in) {
    const auto y =
        linears(b, in[0], {{q, {}, LoraBranch{.a = in[1], .b = in[2], .key = {}}}, {k, {}, {}}});
    return mx::concatenate({y[0], mx::multiply(y[1], y[1])}, 1);
  };
  expect_equal(f, {normal({7, 64}, 3), normal({64, 4}, 4, 0.2f), normal({4, 64}, 5, 0.2f)});
}

TEST(Fused, RmsNormRopeSwiglu) {
  const auto weight = normal({32}, 1);
  const auto segments = make_segments({5, 1, 7});
  const mx::array inv_freq({1.0f, 0.3f, 0.1f, 0.03f});
  expect_equal(
      [&](const Backend& b, const Arrays& in) { return rms_norm(b, in[0], weight, 1e-5f); },
      {normal({13, 32}, 2)});
  expect_equal(
      [&](const Backend& b, const Arrays& in) { return rope(b, in[0], segments, inv_freq, 8); },
      {normal({13, 32}, 3)});
  expect_equal([&](const Backend& b, const Arrays& in) { return swiglu(b, in[0], in[1]); },
               {normal({13, 32}, 4), normal({13, 32}, 5)});
}

TEST(Fused, AttentionWithinSegments) {
  const auto segments = make_segments({9, 1, 23});
  expect_equal([&](const Backend& b,
                   const Arrays& in) { return attention(b, in[0], in[1], in[2], segments, 16); },
               {normal({33, 64}, 1), normal({33, 32}, 2), normal({33, 32}, 3)});
}

TEST(Fused, AttentionOverSharedBeginnings) {
  // One beginning, two that go on from it, one of these with two ends of its own.
  const auto segments = make_segments({9, 4, 11, 1, 7, 6}, {-1, 0, 0, 2, 2, -1});
  expect_equal([&](const Backend& b,
                   const Arrays& in) { return attention(b, in[0], in[1], in[2], segments, 16); },
               {normal({38, 64}, 1), normal({38, 32}, 2), normal({38, 32}, 3)});
}

TEST(Fused, SelectedRows) {
  const auto rows = std::make_shared<const std::vector<int32_t>>(std::vector<int32_t>{0, 3, 8});
  expect_equal([&](const Backend& b, const Arrays& in) { return select_rows(b, in[0], rows); },
               {normal({9, 6}, 1)});
}

TEST(Fused, CrossEntropy) {
  const Weight head = quantized(100, 64, 8, 32, 1);
  const mx::array targets({3, 99, 0, 42, 42}, {5}, mx::int32);
  const auto weights = mx::array({1.0f, 0.5f, 2.0f, 0.0f, 1.0f});
  expect_equal(
      [&](const Backend& b, const Arrays& in) {
        return cross_entropy(b, in[0], head, targets, weights, true)[0];
      },
      {normal({5, 64}, 2)});
}

// A vocabulary of no even size, each of whose terms is nothing beside the greatest, but not their
// sum, of which float32 keeps three digits beside it; rows of two chunks.
TEST(Fused, CrossEntropyOfALongRow) {
  const auto first = mx::equal(mx::arange(50001), mx::array(0));
  const auto data =
      mx::where(mx::expand_dims(first, 1), mx::array(2.1f), normal({50001, 8}, 1, 0.2f));
  const Weight head{.data = mx::contiguous(data)};
  const auto h = mx::add(normal({260, 8}, 2, 0.02f), mx::array(1.0f));
  mx::eval({head.data, h});
  double exact = 0.0;
  for (int i = 0; i < 260; ++i) {
    double others = 0.0, top = 0.0;
    for (int v = 0; v < 50001; ++v) {
      double logit = 0.0;
      for (int k = 0; k < 8; ++k)
        logit += double{h.data<float>()[i * 8 + k]} * double{head.data.data<float>()[v * 8 + k]};
      if (v == 0) top = logit;
      if (v > 0) others += std::exp(logit - top);
    }
    exact += std::log1p(others);
  }
  for (const bool with_grad : {true, false}) {
    const auto f = [&](const Backend& b, const Arrays& in) {
      return cross_entropy(b, in[0], head, mx::zeros({260}, mx::int32), mx::ones({260}),
                           with_grad)[0];
    };
    for (const Backend& b : {cpu_backend(), composed_backend()})
      EXPECT_NEAR(double{f(b, {h}).item<float>()} / exact, 1.0, 2e-3) << b.operations->name;
    if (with_grad) expect_equal(f, {h}, 2e-3f);
  }
}

}  // namespace
}  // namespace gavel
