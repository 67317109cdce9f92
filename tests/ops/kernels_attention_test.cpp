// Attention over packed segments and over a cache against float64; gradients by differences too.
#include <gtest/gtest.h>

#include "base/half.h"
#include "ops/kernels_support.h"

namespace gavel::kernels::testing {
namespace {

class Attention : public EverySimd {};
GAVEL_EVERY_SIMD(Attention);
class AttentionCached : public EverySimd {};
GAVEL_EVERY_SIMD(AttentionCached);

struct Shape {
  std::vector<int32_t> starts, parents;
  int64_t heads, kv_heads, d, rows;
  double scale;

  // The rows that row i of segment s sees.
  std::vector<int64_t> seen(size_t s, int64_t i) const {
    std::vector<int64_t> result;
    for (int64_t j = starts[s]; j <= i; ++j) result.push_back(j);
    if (parents.empty() || parents[s] < 0) return result;
    const auto parent = static_cast<size_t>(parents[s]);
    const auto before = seen(parent, starts[parent + 1] - 1);
    result.insert(result.end(), before.begin(), before.end());
    return result;
  }
};

Shape random_shape(Random& random, int64_t longest) {
  Shape s;
  s.kv_heads = random.integer(1, 3);
  s.heads = s.kv_heads * random.integer(1, 4);
  s.d = random.pick<int64_t>({64, 64, 32, 128, 80, 8, random.integer(1, 40)});
  s.starts = {0};
  for (int64_t n = random.integer(1, 6); n > 0; --n)
    s.starts.push_back(s.starts.back() +
                       static_cast<int32_t>(random.integer(n == 2 ? 0 : 1, longest)));
  if (random.integer(0, 1) == 1)
    for (size_t i = 0; i + 1 < s.starts.size(); ++i)
      s.parents.push_back(static_cast<int32_t>(random.integer(-1, static_cast<int64_t>(i) - 1)));
  s.rows = s.starts.back();
  s.scale = 1 / std::sqrt(static_cast<double>(s.d));
  return s;
}

// out and lse of the definition.
void reference(const Shape& s, const Doubles& q, const Doubles& k, const Doubles& v, Doubles& out,
               Doubles& lse) {
  out.assign(s.rows * s.heads * s.d, 0.0);
  lse.assign(s.rows * s.heads, 0.0);
  for (size_t g = 0; g + 1 < s.starts.size(); ++g)
    for (int64_t i = s.starts[g]; i < s.starts[g + 1]; ++i)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t kv = h / (s.heads / s.kv_heads), qi = (i * s.heads + h) * s.d;
        Doubles score;
        double top = -1e300, sum = 0;
        const auto seen = s.seen(g, i);
        for (const int64_t j : seen) {
          double dot = 0;
          for (int64_t c = 0; c < s.d; ++c) dot += q[qi + c] * k[(j * s.kv_heads + kv) * s.d + c];
          score.push_back(dot * s.scale);
          top = std::max(top, score.back());
        }
        for (double& x : score) sum += x = std::exp(x - top);
        for (size_t n = 0; n < seen.size(); ++n)
          for (int64_t c = 0; c < s.d; ++c)
            out[qi + c] += score[n] / sum * v[(seen[n] * s.kv_heads + kv) * s.d + c];
        lse[i * s.heads + h] = top + std::log(sum);
      }
}

// Gradients of sum(dout * out), by the chain rule through the softmax.
void reference_backward(const Shape& s, const Doubles& q, const Doubles& k, const Doubles& v,
                        const Doubles& dout, Doubles& dq, Doubles& dk, Doubles& dv) {
  Doubles out, lse;
  reference(s, q, k, v, out, lse);
  dq.assign(q.size(), 0.0);
  dk.assign(k.size(), 0.0);
  dv.assign(v.size(), 0.0);
  for (size_t g = 0; g + 1 < s.starts.size(); ++g)
    for (int64_t i = s.starts[g]; i < s.starts[g + 1]; ++i)
      for (int64_t h = 0; h < s.heads; ++h) {
        const int64_t kv = h / (s.heads / s.kv_heads), qi = (i * s.heads + h) * s.d;
        double delta = 0;
        for (int64_t c = 0; c < s.d; ++c) delta += dout[qi + c] * out[qi + c];
        for (const int64_t j : s.seen(g, i)) {
          const int64_t kj = (j * s.kv_heads + kv) * s.d;
          double dot = 0, dp = 0;
          for (int64_t c = 0; c < s.d; ++c) dot += q[qi + c] * k[kj + c];
          for (int64_t c = 0; c < s.d; ++c) dp += dout[qi + c] * v[kj + c];
          const double p = std::exp(dot * s.scale - lse[i * s.heads + h]);
          const double ds = p * (dp - delta) * s.scale;
          for (int64_t c = 0; c < s.d; ++c) {
            dv[kj + c] += p * dout[qi + c];
            dq[qi + c] += ds * k[kj + c];
            dk[kj + c] += ds * q[qi + c];
          }
        }
      }
}

Doubles wide(const Floats& x) { return Doubles(x.begin(), x.end()); }

void check(const Shape& s, Random& random) {
  SCOPED_TRACE(fmt::format("rows {} segments {} heads {} kv {} d {}", s.rows, s.starts.size() - 1,
                           s.heads, s.kv_heads, s.d));
  const Floats q = random.normals(s.rows * s.heads * s.d, 2.0f);
  const Floats k = random.normals(s.rows * s.kv_heads * s.d);
  const Floats v = random.normals(s.rows * s.kv_heads * s.d);
  const Floats dout = random.normals(q.size());
  Doubles want, want_lse, want_dq, want_dk, want_dv;
  reference(s, wide(q), wide(k), wide(v), want, want_lse);
  reference_backward(s, wide(q), wide(k), wide(v), wide(dout), want_dq, want_dk, want_dv);
  Floats out(q.size()), lse(s.rows * s.heads), dq(q.size(), 5), dk(k.size(), 5), dv(v.size(), 5);
  const float scale = static_cast<float>(s.scale);
  attention_forward(q.data(), k.data(), v.data(), {s.starts, s.parents}, s.heads, s.kv_heads, s.d,
                    scale, out.data(), lse.data());
  expect_near(out, want, 2e-6, "out");
  expect_near(lse, want_lse, 2e-6, "lse");
  attention_backward(q.data(), k.data(), v.data(), out.data(), lse.data(), dout.data(),
                     {s.starts, s.parents}, s.heads, s.kv_heads, s.d, scale, dq.data(), dk.data(),
                     dv.data());
  expect_near(dq, want_dq, 1e-5, "dq", 0.1);  // 0 where there is a single key
  expect_near(dk, want_dk, 1e-5, "dk", 0.1);
  expect_near(dv, want_dv, 1e-5, "dv");
}

TEST_P(Attention, ShortSegments) {
  Random random(1);
  for (int i = 0; i < 60; ++i) check(random_shape(random, 40), random);
}

TEST_P(Attention, LongSegments) {
  Random random(2);
  for (int i = 0; i < 6; ++i) check(random_shape(random, 200), random);
}

TEST_P(Attention, FiniteDifferences) {
  Random random(3);
  const Shape s{{0, 3, 8, 10}, {-1, -1, 1}, 4, 2, 6, 10, 0.4};
  const Floats q = random.normals(s.rows * s.heads * s.d), dout = random.normals(q.size());
  const Floats k = random.normals(s.rows * s.kv_heads * s.d), v = random.normals(k.size());
  Doubles in[3] = {wide(q), wide(k), wide(v)}, slopes[3];
  const auto f = [&] {
    Doubles out, lse;
    reference(s, in[0], in[1], in[2], out, lse);
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += out[i] * dout[i];
    return sum;
  };
  for (int which = 0; which < 3; ++which)
    for (double& x : in[which]) {
      const double keep = x;
      x = keep + 1e-5;
      const double up = f();
      x = keep - 1e-5;
      slopes[which].push_back((up - f()) / 2e-5);
      x = keep;
    }
  Floats out(q.size()), lse(s.rows * s.heads), dq(q.size()), dk(k.size()), dv(v.size());
  attention_forward(q.data(), k.data(), v.data(), {s.starts, s.parents}, s.heads, s.kv_heads, s.d,
                    0.4f, out.data(), lse.data());
  attention_backward(q.data(), k.data(), v.data(), out.data(), lse.data(), dout.data(),
                     {s.starts, s.parents}, s.heads, s.kv_heads, s.d, 0.4f, dq.data(), dk.data(),
                     dv.data());
  expect_near(dq, slopes[0], 1e-5, "dq");
  expect_near(dk, slopes[1], 1e-5, "dk");
  expect_near(dv, slopes[2], 1e-5, "dv");
}

// The cached form equals the packed one when the cache holds what came before.
TEST_P(AttentionCached, PrefixesAndNewRows) {
  Random random(4);
  for (int i = 0; i < 40; ++i) {
    Shape s = random_shape(random, 1);
    struct Sequence {
      int64_t prefix, own, fresh;
    };
    std::vector<Sequence> plan;
    for (int64_t n = random.integer(1, 5); n > 0; --n) {
      Sequence q{random.pick<int64_t>({0, random.integer(0, 90)}), random.integer(1, 60), 1};
      q.fresh = random.pick<int64_t>({1, random.integer(1, q.own)});
      plan.push_back(q);
    }
    std::vector<CachedSequence> sequences;
    std::vector<int32_t> q_starts{0};
    const bool halves = i % 2 == 1;
    std::vector<Floats> keep;
    std::vector<std::vector<uint16_t>> keep_halves;
    keep.reserve(plan.size() * 4);
    keep_halves.reserve(plan.size() * 4);
    const auto stored = [&](const float* from, int64_t count) -> const void* {
      if (!halves) return keep.emplace_back(from, from + count).data();
      auto& to = keep_halves.emplace_back(count);
      to_halves(from, count, to.data());
      return to.data();
    };
    Floats q;
    Doubles want;
    for (const Sequence& p : plan) {
      Shape whole = s;
      whole.rows = p.prefix + p.own;
      whole.parents.clear();
      whole.starts = {0, static_cast<int32_t>(whole.rows)};
      const Floats all_q = random.normals(whole.rows * s.heads * s.d);
      Floats k = random.normals(whole.rows * s.kv_heads * s.d), v = random.normals(k.size());
      if (halves)  // what is compared with has the cache's rounding
        for (Floats* x : {&k, &v})
          for (float& f : *x) f = f16_to_f32(f32_to_f16(f));
      Doubles out, lse;
      reference(whole, wide(all_q), wide(k), wide(v), out, lse);
      const int64_t width = s.heads * s.d, kv_width = s.kv_heads * s.d;
      q.insert(q.end(), all_q.end() - p.fresh * width, all_q.end());
      want.insert(want.end(), out.end() - p.fresh * width, out.end());
      const int64_t before = p.prefix * kv_width, own = p.own * kv_width;
      sequences.push_back({.prefix_k = stored(k.data(), before),
                           .prefix_v = stored(v.data(), before),
                           .prefix_len = p.prefix,
                           .own_k = stored(k.data() + before, own),
                           .own_v = stored(v.data() + before, own),
                           .own_len = p.own,
                           .type = halves ? ScalarType::f16 : ScalarType::f32});
      q_starts.push_back(q_starts.back() + static_cast<int32_t>(p.fresh));
    }
    Floats out(q.size());
    attention_cached(q.data(), q_starts, sequences, s.heads, s.kv_heads, s.d,
                     static_cast<float>(s.scale), out.data());
    expect_near(out, want, 2e-6, "out");
  }
}

}  // namespace
}  // namespace gavel::kernels::testing
