// The embedded model against transformers, torch and peft: logits, gradients and a loss curve.
// The numbers are made by scripts/make_model_goldens.py.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "embedded_model.h"
#include "model/safetensors.h"
#include "ops/device.h"
#include "ops/kernels.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace gavel {
namespace {

constexpr int kRank = 8;
constexpr float kScale = 2.0f;

double signed_uniform(Random& random) { return random.uniform() * 2.0 - 1.0; }

// "000.self_attn.q_proj.lora_a": the script's names, whose order numbers the seeds.
std::string golden_name(const LoraMatrix& m, bool is_a) {
  return fmt::format("{:03d}.{}.lora_{}", m.layer, projection_path(m.projection), is_a ? "a" : "b");
}

class ModelGolden : public EmbeddedModelTest {
 protected:
  void SetUp() override {
    EmbeddedModelTest::SetUp();
    if (HasFatalFailure()) return;
    const auto file =
        read_safetensors(std::filesystem::path(GAVEL_GOLDEN_DIR) / "model_goldens.safetensors");
    goldens.insert(file.begin(), file.end());
    for (const auto& [name, array] :
         read_safetensors(std::filesystem::path(GAVEL_GOLDEN_DIR) / "rank_goldens.safetensors"))
      goldens.insert({"rank." + name, array});
  }

  // Trains the golden adapter and compares the losses; gives the largest difference.
  double loss_curve(const Model& used, double bound = 1e-3);
  // The relative error of some rows' logits, all of which have the golden's greatest.
  double logits_error(const Model& used);
  // Compares a gradient with its sketches in the goldens: the relative error of each matrix, the
  // worst first.
  struct GradientError {
    std::string name;
    double error;
  };
  std::vector<GradientError> gradient_errors(const Adapter& adapter, const std::vector<float>& flat,
                                             const std::string& prefix);
  // All must be below 1e-4; gives the worst.
  double compare_gradient(const Adapter& adapter, const std::vector<float>& flat,
                          const std::string& prefix, const std::string& what);

  std::vector<Example> ranked_examples() {
    std::vector<Example> examples;
    for (int pair = 0; pair < 2; ++pair)
      for (int k = 0; k < 2; ++k) {
        Example& e = examples.emplace_back();
        auto tokens = integers(fmt::format("rank.tokens.{}.{}", pair, k));
        e.prompt_length = static_cast<int32_t>(tokens.size());
        tokens.push_back(integers("rank.choice")[0]);
        e.tokens = tokens;
        e.other_token = integers("rank.choice")[1];
        e.wins = pair == 1 ? 0.5f : k == 0 ? 1.0f : 0.0f;
        e.group = pair;
      }
    return examples;
  }

  std::vector<float> golden(const std::string& name) {
    const mx::Device cpu = mx::Device::cpu;  // a GPU takes no float64
    auto a = mx::contiguous(mx::astype(goldens.at(name), mx::float32, cpu), false, cpu);
    a.eval();
    return {a.data<float>(), a.data<float>() + a.size()};
  }

  std::vector<int32_t> integers(const std::string& name) {
    std::vector<int32_t> result;
    for (const float v : golden(name)) result.push_back(static_cast<int32_t>(v));
    return result;
  }

  std::vector<Example> golden_examples() {
    std::vector<Example> examples(4);
    for (size_t i = 0; i < 4; ++i) {
      examples[i].tokens = integers(fmt::format("tokens.{}", i));
      examples[i].prompt_length = integers(fmt::format("prompt_length.{}", i))[0];
    }
    return examples;
  }

  // The adapter that the script starts from, as flat parameters.
  static Adapter golden_adapter() {
    LoraConfig config{
        .rank = kRank, .scale = kScale, .dropout = 0.0f, .targets = {}, .num_layers = -1};
    for (int p = 0; p < kProjections; ++p) config.targets.push_back(static_cast<Projection>(p));
    Adapter adapter = make_adapter(*model, config, LoraInit::kaiming, 0);
    std::map<std::string, mx::array*> by_name;
    for (auto& m : adapter.matrices) {
      by_name[golden_name(m, true)] = &m.a;
      by_name[golden_name(m, false)] = &m.b;
    }
    uint64_t index = 0;
    for (auto& [name, array] : by_name) {
      Random random(7000 + index++);
      const float bound = name.ends_with("lora_a") ? 0.05f : 0.002f;
      std::vector<float> values(array->size());
      for (auto& v : values) v = static_cast<float>(signed_uniform(random)) * bound;
      *array = mx::array(values.begin(), array->shape(), mx::float32);
    }
    return adapter;
  }

  std::map<std::string, mx::array> goldens;
};

double relative_error(std::span<const float> value, std::span<const float> reference) {
  double difference = 0.0, norm = 0.0;
  EXPECT_EQ(value.size(), reference.size());
  for (size_t i = 0; i < reference.size(); ++i) {
    difference += std::pow(double{value[i]} - reference[i], 2);
    norm += std::pow(double{reference[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

double ModelGolden::logits_error(const Model& used) {
  const auto ids = integers("tokens.1");
  const int count = static_cast<int>(ids.size());
  auto out = mx::astype(logits(used, hidden_states(used, mx::array(ids.begin(), {count}, mx::int32),
                                                   make_segments({count}), nullptr)),
                        mx::float32);
  out.eval();
  const int vocab = used.config.vocab_size;
  std::vector<float> sampled;
  for (const int row : {0, count / 2, count - 1})
    for (int i = 0; i < vocab; i += 24) sampled.push_back(out.data<float>()[row * vocab + i]);
  const auto argmax = integers("logits.argmax");
  for (int row = 0; row < count && used.backend.dtype == mx::float32; ++row) {
    const float* r = out.data<float>() + row * vocab;
    EXPECT_EQ(std::max_element(r, r + vocab) - r, argmax[static_cast<size_t>(row)]);
  }
  return relative_error(sampled, golden("logits.rows"));
}

TEST_F(ModelGolden, LogitsAreThoseOfTransformers) {
  const double error = logits_error(*model);
  fmt::print("relative error of the logits: {:.2e}\n", error);
  EXPECT_LT(error, 1e-4);
}

// Loss and gradients of all four examples, in parts of at most `part_tokens`.
struct Gradients {
  double loss;
  std::vector<float> flat;
};
Gradients gradients(const Model& model, const Adapter& adapter,
                    const std::vector<Example>& examples, const ForwardOptions& options,
                    int64_t part_tokens) {
  std::vector<const Example*> batch;
  for (const auto& e : examples) batch.push_back(&e);
  const auto params = flatten(adapter);
  Gradients g{0.0, std::vector<float>(params.size())};
  int64_t count = 0;
  for (const auto& part : split_batch(batch, part_tokens)) {
    const auto packed = pack(part);
    auto [loss, gradient] = loss_and_gradient(model, adapter, params, packed, options);
    mx::eval({loss, gradient});
    g.loss += double{loss.item<float>()};
    for (size_t i = 0; i < g.flat.size(); ++i) g.flat[i] += gradient.data<float>()[i];
    count += packed.loss_tokens;
  }
  g.loss /= static_cast<double>(count);
  for (auto& v : g.flat) v /= static_cast<float>(count);
  return g;
}

TEST_F(ModelGolden, GradientsAreThoseOfPeft) {
  const Adapter adapter = golden_adapter();
  struct Way {
    const char* name;
    ForwardOptions options;
    int64_t part_tokens;
  };
  for (const Way& way :
       {Way{"all kept", {}, 1000}, Way{"MLPs again", {.recompute = Recompute::mlp}, 1000},
        Way{"layers again", {.recompute = Recompute::layer}, 1000},
        Way{"4 layers again", {.recompute = Recompute::layer, .recompute_group = 4}, 60},
        Way{"all kept", {}, 1}}) {
    const auto g = gradients(*model, adapter, golden_examples(), way.options, way.part_tokens);
    EXPECT_NEAR(g.loss, golden("loss")[0], 1e-5 * golden("loss")[0]);
    const double worst = compare_gradient(adapter, g.flat, "", way.name);
    fmt::print("worst relative error of a gradient, {}, parts of {} tokens: {:.2e}\n", way.name,
               way.part_tokens, worst);
  }
}

// Of ranked pairs: a whole batch, which shares beginnings, and a part for each pair.
TEST_F(ModelGolden, GradientsOfRankedPairsAreThoseOfTorch) {
  const Adapter adapter = golden_adapter();
  const float smoothing = golden("rank.smoothing")[0];
  for (const int64_t part_tokens : {int64_t{1000}, int64_t{1}}) {
    const auto g =
        gradients(*model, adapter, ranked_examples(), {.label_smoothing = smoothing}, part_tokens);
    EXPECT_NEAR(g.loss, golden("rank.loss")[0], 1e-5 * golden("rank.loss")[0]);
    const double worst =
        compare_gradient(adapter, g.flat, "rank.", fmt::format("parts of {}", part_tokens));
    fmt::print("worst relative error of a ranked gradient, parts of {} tokens: {:.2e}\n",
               part_tokens, worst);
  }
}

TEST_F(ModelGolden, ScoresOfAnswersAreThoseOfTransformers) {
  const Adapter adapter = golden_adapter();
  const ModelLora lora = bind(*model, adapter);
  const auto examples = ranked_examples();
  const auto scores = golden("rank.scores");
  for (size_t i = 0; i < examples.size(); ++i) {
    const Example& e = examples[i];
    const auto count = static_cast<int>(e.prompt_length);
    auto out = logits(*model, hidden_states(*model, mx::array(e.tokens.begin(), {count}, mx::int32),
                                            make_segments({count}), &lora));
    out.eval();
    const float* last =
        out.data<float>() + static_cast<int64_t>(count - 1) * model->config.vocab_size;
    EXPECT_NEAR(last[e.tokens.back()] - last[e.other_token], scores[i], 2e-4);
  }
}

// As the script's function of this name does.
std::vector<double> sketch(std::span<const float> values, size_t buckets) {
  Random random(1);
  std::vector<double> sums(buckets);
  for (const float value : values) {
    const uint64_t r = random.next();
    sums[(r >> 32) % buckets] += r % 2 == 0 ? double{value} : -double{value};
  }
  return sums;
}

std::vector<ModelGolden::GradientError> ModelGolden::gradient_errors(const Adapter& adapter,
                                                                     const std::vector<float>& flat,
                                                                     const std::string& prefix) {
  std::span<const float> rest(flat);
  std::vector<GradientError> errors;
  for (const auto& m : adapter.matrices) {
    for (const bool is_a : {true, false}) {
      const auto values = rest.first(is_a ? m.a.size() : m.b.size());
      rest = rest.subspan(values.size());
      const std::string name = golden_name(m, is_a);
      const auto reference = golden(prefix + "grad." + name);
      const auto sums = sketch(values, reference.size());
      double squares = 0.0, norm = 0.0;
      for (size_t i = 0; i < sums.size(); ++i) squares += std::pow(sums[i] - reference[i], 2);
      for (const float v : values) norm += std::pow(double{v}, 2);
      const double whole = golden(prefix + "norm." + name)[0];
      errors.push_back(
          {name, std::max(std::sqrt(squares) / whole, std::abs(std::sqrt(norm) / whole - 1.0))});
    }
  }
  std::sort(errors.begin(), errors.end(),
            [](const auto& x, const auto& y) { return x.error > y.error; });
  return errors;
}

double ModelGolden::compare_gradient(const Adapter& adapter, const std::vector<float>& flat,
                                     const std::string& prefix, const std::string& what) {
  const auto errors = gradient_errors(adapter, flat, prefix);
  for (const auto& [name, error] : errors) EXPECT_LT(error, 1e-4) << name << ", " << what;
  return errors.front().error;
}

double ModelGolden::loss_curve(const Model& used, double bound) {
  const Adapter adapter = golden_adapter();
  auto params = flatten(adapter);
  const OptimizerConfig config;
  auto state = make_optimizer_state(config, params.shape(0));
  const Schedule schedule{.kind = ScheduleKind::cosine,
                          .learning_rate = 1e-3,
                          .min_learning_rate = 1e-5,
                          .warmup_init = 0.0,
                          .warmup = 5,
                          .decay_steps = 15};
  const auto examples = golden_examples();
  const auto curve = golden("curve");
  double worst = 0.0;
  for (size_t step = 0; step < curve.size(); ++step) {
    const std::vector<const Example*> batch = {&examples[step % 2], &examples[step % 2 + 2]};
    const auto packed = pack(batch);
    auto [sum, gradient] = loss_and_gradient(used, adapter, params, packed, {});
    const auto count = static_cast<float>(packed.loss_tokens);
    params = optimizer_step(used.backend, config, state,
                            learning_rate_at(schedule, static_cast<int64_t>(step)), params,
                            mx::divide(gradient, mx::array(count)));
    mx::eval({params, *state.m, *state.v, sum});
    const double loss = double{sum.item<float>()} / double{count};
    EXPECT_NEAR(loss, curve[step], bound) << "step " << step;
    worst = std::max(worst, std::abs(loss - curve[step]));
  }
  return worst;
}

TEST_F(ModelGolden, LossCurveIsThatOfPeft) {
  const double f32 = loss_curve(*model);
  // --matmul int16: other roundings, the same training.
  const double rounded = loss_curve(with_precision(*model, kernels::Precision::int16));
  EXPECT_NE(rounded, f32);
  fmt::print("farthest loss of the curve: {:.1e}, with int16 products {:.1e}\n", f32, rounded);
}

// The same on a GPU.
class ModelGoldenOnCard : public ModelGolden {
 protected:
  void SetUp() override {
    ModelGolden::SetUp();
    if (!gpu_available()) GTEST_SKIP() << "no GPU";
  }
  void TearDown() override { mx::set_default_device(mx::Device::cpu); }
  static Model on_gpu(const std::string& dtype) {
    return make_model(load_model(std::filesystem::path(GAVEL_SOURCE_DIR) /
                                 "models/SmolLM2-135M-Instruct.Q4_1.gguf"),
                      make_backend({.device = "gpu", .dtype = dtype}));
  }
};

TEST_F(ModelGoldenOnCard, Float32HoldsTheGoldens) {
  const Model gpu = on_gpu("float32");
  const double error = logits_error(gpu);
  EXPECT_LT(error, 1e-4);
  const Adapter adapter = golden_adapter();
  for (const Recompute recompute : {Recompute::none, Recompute::layer}) {
    const auto g = gradients(gpu, adapter, golden_examples(), {.recompute = recompute}, 1000);
    EXPECT_NEAR(g.loss, golden("loss")[0], 1e-5 * golden("loss")[0]);
    fmt::print("float32: logits {:.2e}, worst gradient {:.2e}\n", error,
               compare_gradient(adapter, g.flat, "", "float32"));
  }
  fmt::print("float32: farthest loss of the curve {:.1e}\n", loss_curve(gpu));
}

// No farther from float64 than torch's bfloat16 is (scripts/golden_bfloat16.py).
TEST_F(ModelGoldenOnCard, Bfloat16IsAsNearAsTorchs) {
  const Model gpu = on_gpu("");
  std::ifstream file(std::filesystem::path(GAVEL_GOLDEN_DIR) / "bfloat16.json");
  const auto torch = nlohmann::json::parse(file)["golden_case"];
  const double error = logits_error(gpu);
  EXPECT_LT(error, torch["logits"].get<double>());
  const Adapter adapter = golden_adapter();
  for (const auto& [name, options, part_tokens] :
       {std::tuple{"all kept", ForwardOptions{}, 1000},
        {"MLPs again", ForwardOptions{.recompute = Recompute::mlp}, 1000},
        {"layers again", ForwardOptions{.recompute = Recompute::layer}, 60}}) {
    const auto g = gradients(gpu, adapter, golden_examples(), options, part_tokens);
    const auto errors = gradient_errors(adapter, g.flat, "");
    const double median = errors[errors.size() / 2].error;
    fmt::print(
        "bfloat16, {}: logits {:.2e}, gradients {:.2e} in the middle, {:.2e} at worst ({}); "
        "torch {:.2e}, {:.2e}, {:.2e}\n",
        name, error, median, errors[0].error, errors[0].name, torch["logits"].get<double>(),
        torch["median_gradient"].get<double>(), torch["worst_gradient"].get<double>());
    EXPECT_LT(median, torch["median_gradient"].get<double>()) << name;
    EXPECT_LT(errors[0].error, torch["worst_gradient"].get<double>()) << errors[0].name << name;
  }
  // torch rounds a product before it adds LoRA's part, most of which is lost.
  const double far = torch["curve"].get<double>();
  fmt::print("bfloat16: farthest loss of the curve {:.1e}, torch {:.1e}\n",
             loss_curve(gpu, far / 5), far);
}

}  // namespace
}  // namespace gavel
