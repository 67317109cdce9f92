// The two forward passes over caches, kernel by kernel and composed of MLX's operations, are one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "adapter/lora.h"
#include "embedded_model.h"
#include "generate/engine.h"
#include "generate/sampler.h"
#include "model/cached_forward.h"

namespace gavel {
namespace {

class Forward : public EmbeddedModelTest {};

// Two sequences, then one more token of each.
std::vector<float> run(Model model, const ModelLora* lora, const Backend& backend) {
  model.backend = backend;
  const std::vector<int> first = {504, 3575, 282, 4649, 314}, second = {28, 198, 19556};
  const std::vector<int> more = {7042, 30};
  std::vector<CachedInput> inputs = {{make_cache(model), first, CachedInput::Want::none},
                                     {make_cache(model), second, CachedInput::Want::all}};
  std::vector<float> result;
  const auto take = [&](const mx::array& logits) {
    result.insert(result.end(), logits.data<float>(), logits.data<float>() + logits.size());
  };
  take(cached_forward(model, lora, inputs));
  for (size_t i = 0; i < 2; ++i) {
    inputs[i].tokens = std::span(more).subspan(i, 1);
    inputs[i].want = CachedInput::Want::last;
  }
  take(cached_forward(model, lora, inputs));
  return result;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0.0, norm = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{b[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

TEST_F(Forward, KernelsAndComposedOperationsAgree) {
  LoraConfig config{.rank = 4, .scale = 2.0f, .dropout = 0.0f, .targets = {}, .num_layers = -1};
  config.targets = {Projection::q, Projection::k, Projection::down};
  Adapter adapter = make_adapter(*model, config, LoraInit::gaussian, 3);
  for (auto& m : adapter.matrices) m.b = mx::full(m.b.shape(), 0.01f);  // B would be zeros
  const auto lora = bind(*model, adapter);
  const auto composed = run(*model, &lora, composed_backend());
  EXPECT_EQ(composed.size(), size_t{5} * static_cast<size_t>(model->config.vocab_size));
  EXPECT_LT(relative_error(run(*model, &lora, cpu_backend(kernels::Precision::float32)), composed),
            1e-4);
  EXPECT_LT(relative_error(run(*model, &lora, cpu_backend(kernels::Precision::int16)), composed),
            1e-3);
  // Eight bits for activations, halves for keys and values.
  EXPECT_LT(relative_error(run(*model, &lora, cpu_backend(kernels::Precision::int8)), composed),
            5e-2);
}

// A step may read a piece of a prompt and nothing else, so that there are no logits.
TEST_F(Forward, PromptsInPiecesAreTheWholePrompt) {
  for (const Backend& backend : {cpu_backend(), composed_backend()}) {
    Model on = *model;
    on.backend = backend;
    std::vector<std::vector<int>> written;
    for (const int64_t piece : {1024, 4}) {
      auto s = std::make_shared<Sequence>();
      s->prompt = {504, 3575, 282, 4649, 314, 28, 198, 19556, 7042, 30};
      s->options.max_tokens = 4;
      s->options.sampling.temperature = 0;
      Engine engine(on, piece);
      engine.add(std::vector{s}, nullptr);
      while (engine.step()) {
      }
      written.push_back(s->tokens);
    }
    EXPECT_EQ(written[0].size(), 4u);
    EXPECT_EQ(written[0], written[1]);
  }
}

// Mean loss of a text's tokens, each from all before it.
double text_loss(const Model& model, const std::vector<int>& tokens) {
  const CachedInput input{make_cache(model), tokens, CachedInput::Want::all};
  const auto logits = cached_forward(model, nullptr, std::span(&input, 1));
  const auto vocab = static_cast<size_t>(model.config.vocab_size);
  double sum = 0.0;
  for (size_t i = 0; i + 1 < tokens.size(); ++i)
    sum -= log_probabilities(std::span(logits.data<float>() + i * vocab, vocab),
                             {&tokens[i + 1], 1})[0];
  return sum / static_cast<double>(tokens.size() - 1);
}

// Of single tokens this says little: greedy_golden_test.cpp has what the default must hold.
TEST_F(Forward, EightBitsHardlyMovePerplexity) {
  const auto path =
      std::filesystem::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  // Real text, enough of it that the chance of single tokens does not show.
  std::ifstream file(std::filesystem::path(GAVEL_SOURCE_DIR) / "docs/judge.md");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.resize(std::min<size_t>(text.size(), 8000));
  const auto tokens = load_model(path).tokenizer->encode(text);
  ASSERT_GT(tokens.size(), size_t{1500});
  const double exact = text_loss(with_precision(*model, kernels::Precision::float32), tokens);
  const double fast = text_loss(with_precision(*model, kernels::Precision::int8), tokens);
  fmt::print("perplexity {:.4f}, with 8-bit activations {:.4f}\n", std::exp(exact), std::exp(fast));
  EXPECT_LT(std::abs(std::exp(fast - exact) - 1.0), 0.005);
}

}  // namespace
}  // namespace gavel
