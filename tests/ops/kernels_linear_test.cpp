// Linear layers, their gradients, LoRA and embeddings against float64.
#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/cpu/few_rows.h"
#include "ops/cpu/linear.h"
#include "ops/kernels_support.h"

namespace gavel::kernels::testing {
namespace {

class Linear : public EverySimd {};
GAVEL_EVERY_SIMD(Linear);
class Embedding : public EverySimd {};
GAVEL_EVERY_SIMD(Embedding);

struct Case {
  int64_t rows, n, k, r;
  ScalarType type;
  int bits, group;
  bool bias, residual;
  std::string name() const {
    return fmt::format("rows {} n {} k {} r {} type {} bits {} group {} bias {} residual {}", rows,
                       n, k, r, static_cast<int>(type), bits, group, bias, residual);
  }
};

Case random_case(Random& random) {
  Case c;
  c.bits = random.pick({0, 2, 3, 4, 4, 4, 5, 6, 8, 8});
  c.group = random.pick({32, 32, 64, 128, 16, 96});
  c.k = c.bits == 0 ? random.integer(1, 300) : c.group * random.integer(1, 6);
  if (c.bits != 0 && c.k % 32 != 0) c.k += c.group;
  c.n = random.pick<int64_t>({random.integer(1, 70), random.integer(1, 400), 64, 256});
  c.rows = random.pick<int64_t>({1, 2, random.integer(1, 20), random.integer(20, 200), 64});
  c.r = random.pick<int64_t>({0, 0, 1, 8, random.integer(1, 40)});
  c.type = random.pick({ScalarType::f32, ScalarType::f16, ScalarType::bf16});
  c.bias = random.integer(0, 1) == 1;
  c.residual = random.integer(0, 1) == 1;
  return c;
}

void check_linear(const Case& c, Random& random, Precision precision, double tolerance) {
  SCOPED_TRACE(c.name());
  const TestWeight w = make_weight(random, c.n, c.k, c.type, c.bits, c.group);
  const Floats x = random.normals(c.rows * c.k);
  const Floats bias = random.normals(c.n), residual = random.normals(c.rows * c.n);
  const Floats a = random.normals(c.k * c.r, 0.1f), b = random.normals(c.r * c.n, 0.1f);
  const LoraView lora{a.data(), b.data(), c.r, 2.0f};

  Doubles want(c.rows * c.n), want_xa(c.rows * c.r);
  for (int64_t t = 0; t < c.rows; ++t) {
    for (int64_t j = 0; j < c.r; ++j)
      for (int64_t i = 0; i < c.k; ++i)
        want_xa[t * c.r + j] += double{x[t * c.k + i]} * a[i * c.r + j];
    for (int64_t o = 0; o < c.n; ++o) {
      double sum = (c.bias ? bias[o] : 0.0) + (c.residual ? residual[t * c.n + o] : 0.0);
      for (int64_t i = 0; i < c.k; ++i) sum += x[t * c.k + i] * w.values[o * c.k + i];
      for (int64_t j = 0; j < c.r; ++j) sum += 2.0 * want_xa[t * c.r + j] * b[j * c.n + o];
      want[t * c.n + o] = sum;
    }
  }
  Floats xa(c.rows * c.r);
  Floats y = c.residual ? residual : Floats(c.rows * c.n, 7.0f);  // y may be the residual itself
  // Twice in one call: what is prepared for the first product serves the second as well.
  Floats again = y, xa_again = xa;
  LinearTask tasks[2] = {{.weight = w.view, .y = y.data(), .xa = xa.data()},
                         {.weight = w.view, .y = again.data(), .xa = xa_again.data()}};
  for (LinearTask& task : tasks) {
    if (c.bias) task.bias = bias.data();
    if (c.residual) task.residual = task.y;
    if (c.r) task.lora = &lora;
  }
  linear_forward(x.data(), c.rows, tasks, precision);
  EXPECT_EQ(y, again);
  expect_near(y, want, tolerance, "y", 0.3);
  expect_near(xa, want_xa, 2e-5, "xa");
}

void check_backward(const Case& c, Random& random, Precision precision = Precision::float32,
                    double tolerance = 2e-5) {
  SCOPED_TRACE(c.name());
  const TestWeight w = make_weight(random, c.n, c.k, c.type, c.bits, c.group);
  const Floats dy = random.normals(c.rows * c.n), x = random.normals(c.rows * c.k);
  const Floats a = random.normals(c.k * c.r, 0.1f), b = random.normals(c.r * c.n, 0.1f);
  const LoraView lora{a.data(), b.data(), c.r, 2.0f};
  const Floats before = random.normals(c.rows * c.k);
  const bool accumulate = c.residual;

  Doubles want(c.rows * c.k), want_dyb(c.rows * c.r), xa(c.rows * c.r);
  Doubles want_da(c.k * c.r), want_db(c.r * c.n);
  for (int64_t t = 0; t < c.rows; ++t) {
    for (int64_t j = 0; j < c.r; ++j) {
      for (int64_t o = 0; o < c.n; ++o)
        want_dyb[t * c.r + j] += 2.0 * dy[t * c.n + o] * b[j * c.n + o];
      for (int64_t i = 0; i < c.k; ++i) xa[t * c.r + j] += double{x[t * c.k + i]} * a[i * c.r + j];
      for (int64_t i = 0; i < c.k; ++i)
        want_da[i * c.r + j] += x[t * c.k + i] * want_dyb[t * c.r + j];
      for (int64_t o = 0; o < c.n; ++o)
        want_db[j * c.n + o] += 2.0 * xa[t * c.r + j] * dy[t * c.n + o];
    }
    for (int64_t i = 0; i < c.k; ++i) {
      double sum = accumulate ? before[t * c.k + i] : 0.0;
      for (int64_t o = 0; o < c.n; ++o) sum += dy[t * c.n + o] * w.values[o * c.k + i];
      for (int64_t j = 0; j < c.r; ++j) sum += want_dyb[t * c.r + j] * a[i * c.r + j];
      want[t * c.k + i] = sum;
    }
  }
  Floats dx = before, dyb(c.rows * c.r), da(c.k * c.r, 9.0f), db(c.r * c.n, 9.0f);
  linear_backward_input(dy.data(), c.rows, w.view, c.r ? &lora : nullptr, dyb.data(), dx.data(),
                        accumulate, precision);
  expect_near(dx, want, tolerance, "dx", 0.3);
  expect_near(dyb, want_dyb, 1e-5, "dyb");
  if (c.r == 0) return;
  const Floats xa_f(xa.begin(), xa.end());
  lora_backward(x.data(), dy.data(), xa_f.data(), dyb.data(), c.rows, c.k, c.n, lora, da.data(),
                db.data());
  expect_near(da, want_da, 2e-5, "da");
  expect_near(db, want_db, 2e-5, "db");
}

TEST_P(Linear, ForwardExact) {
  Random random(1);
  for (int i = 0; i < 100; ++i) check_linear(random_case(random), random, Precision::float32, 2e-5);
}

TEST_P(Linear, ForwardFast) {
  Random random(2);
  for (int i = 0; i < 80; ++i) check_linear(random_case(random), random, Precision::int8, 2e-2);
}

TEST_P(Linear, SixteenBitIntegers) {
  Random random(8);
  for (int i = 0; i < 50; ++i) {
    check_linear(random_case(random), random, Precision::int16, 2e-4);
    check_backward(random_case(random), random, Precision::int16, 4e-4);
  }
}

TEST_P(Linear, Backward) {
  Random random(3);
  for (int i = 0; i < 100; ++i) check_backward(random_case(random), random);
}

TEST_P(Linear, RealShapes) {
  Random random(4);
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{576, 576}, {192, 576}, {576, 1536}}) {
    const Case c{97, n, k, 8, ScalarType::f16, 4, 32, false, true};
    check_linear(c, random, Precision::float32, 2e-5);
    check_backward(c, random);
  }
}

// A token through a weight that is not quantized: each thread has a part, with the same result.
TEST_P(Linear, FewRowsOfDenseWeightsAreDivided) {
  Random random(8);
  for (const ScalarType type : {ScalarType::f32, ScalarType::f16, ScalarType::bf16}) {
    const TestWeight w = make_weight(random, 1000, 576, type, 0, 0);
    EXPECT_LE(few_columns_at_a_time(w.view, 1000), 1000 / 2);
    const Floats x = random.normals(576);
    Floats y[2] = {Floats(1000), Floats(1000)};
    for (int threads : {1, 4}) {
      set_num_threads(threads);
      LinearTask task{.weight = w.view, .y = y[threads == 1 ? 0 : 1].data()};
      linear_few(x.data(), 1, {&task, 1}, Precision::float32);
    }
    EXPECT_EQ(y[0], y[1]);
  }
}

TEST_P(Linear, NoRows) {
  Random random(5);
  const TestWeight w = make_weight(random, 5, 32, ScalarType::f16, 4, 32);
  const LinearTask task{.weight = w.view};
  linear_forward(nullptr, 0, {&task, 1}, Precision::float32);
  linear_backward_input(nullptr, 0, w.view, nullptr, nullptr, nullptr, false, Precision::float32);
}

TEST_P(Linear, RefusesImpossibleWeights) {
  Random random(6);
  TestWeight w = make_weight(random, 5, 64, ScalarType::f16, 4, 32);
  Floats x(64), y(5);
  const auto run = [&] {
    const LinearTask task{.weight = w.view, .y = y.data()};
    linear_forward(x.data(), 1, {&task, 1}, Precision::float32);
  };
  w.view.bits = 7;
  EXPECT_THROW(run(), Error);
  w.view.bits = 4;
  w.view.group_size = 48;
  EXPECT_THROW(run(), Error);
}

TEST_P(Embedding, AnyWeight) {
  Random random(7);
  for (int i = 0; i < 30; ++i) {
    const Case c = random_case(random);
    SCOPED_TRACE(c.name());
    const TestWeight w = make_weight(random, c.n, c.k, c.type, c.bits, c.group);
    std::vector<int32_t> ids(c.rows);
    Doubles want;
    for (int32_t& id : ids) {
      id = static_cast<int32_t>(random.integer(0, c.n - 1));
      want.insert(want.end(), w.values.begin() + id * c.k, w.values.begin() + (id + 1) * c.k);
    }
    Floats out(c.rows * c.k);
    embedding(w.view, ids.data(), c.rows, out.data());
    expect_near(out, want, 1e-6, "rows");
    ids[0] = static_cast<int32_t>(c.n);
    EXPECT_THROW(embedding(w.view, ids.data(), c.rows, out.data()), Error);
  }
}

}  // namespace
}  // namespace gavel::kernels::testing
