// The two forward passes over caches, kernel by kernel and composed of MLX's operations, are one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "adapter/lora.h"
#include "embedded_model.h"
#include "generate/engine.h"
#include "generate/sampler.h"
#include "model/cached_forward.h"
#include "ops/device.h"

namespace gavel {
namespace {

class Forward : public EmbeddedModelTest {};

// The tokens of a text that no edit of the documentation changes: over 1,400.
std::vector<int> prose() {
  const std::filesystem::path source(GAVEL_SOURCE_DIR);
  std::ifstream file(source / "tests/golden/prose.txt");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return load_model(source / "models/SmolLM2-135M-Instruct.Q4_1.gguf").tokenizer->encode(text);
}

// Two sequences, then one more token of each.
std::vector<float> run(Model model, const ModelLora* lora, const Backend& backend) {
  model.backend = backend;
  const std::vector<int> first = {504, 3575, 282, 4649, 314}, second = {28, 198, 19556};
  const std::vector<int> more = {7042, 30};
  std::vector<CachedInput> inputs = {{make_cache(model), first, CachedInput::Want::none},
                                     {make_cache(model), second, CachedInput::Want::all}};
  std::vector<float> result;
  const auto take = [&](const std::unique_ptr<Logits>& pass) {
    const mx::array logits = pass->whole();
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

// On a card: what bfloat16 leaves of the CPU's results.
class ForwardOnCard : public Forward {
 protected:
  void SetUp() override {
    Forward::SetUp();
    if (!gpu_available()) GTEST_SKIP() << "no GPU";
    const Backend backend = make_backend({.device = "gpu"});
    if (!on_card(backend)) GTEST_SKIP() << "no NVIDIA card";
    card.emplace(make_model(load_model(std::filesystem::path(GAVEL_SOURCE_DIR) /
                                       "models/SmolLM2-135M-Instruct.Q4_1.gguf"),
                            backend));
  }
  void TearDown() override {
    card.reset();
    mx::set_default_device(mx::Device::cpu);
  }
  static std::vector<int> tokens(size_t count) {
    auto all = prose();  // and over again
    for (size_t i = 0; all.size() < count; ++i) all.push_back(all[i]);
    all.resize(count);
    return all;
  }
  static std::vector<float> floats(const mx::array& a) {
    return {a.data<float>(), a.data<float>() + a.size()};
  }
  // Of the rows of the last piece.
  std::vector<float> last_logits(const Model& m, std::span<const int> text,
                                 const std::vector<size_t>& pieces) const {
    const auto cache = make_cache(m);
    std::vector<float> result;
    for (const size_t piece : pieces) {
      const CachedInput input{cache, text.first(piece), CachedInput::Want::all};
      result = floats(cached_forward(m, nullptr, {&input, 1})->whole());
      text = text.subspan(piece);
    }
    return result;
  }
  // The relative error of torch's bfloat16 over the first tokens of the text, by their number
  // (scripts/golden_bfloat16.py).
  static double error_of_torch(size_t count) {
    std::ifstream file(std::filesystem::path(GAVEL_GOLDEN_DIR) / "bfloat16.json");
    return nlohmann::json::parse(file)["all"][std::to_string(count)].get<double>();
  }
  std::optional<Model> card;
};

TEST_F(ForwardOnCard, AgreesWithTheCpu) {
  LoraConfig config{.rank = 4, .scale = 2.0f, .dropout = 0.0f, .targets = {}, .num_layers = -1};
  config.targets = {Projection::q, Projection::k, Projection::down, Projection::up, Projection::o};
  Adapter adapter = make_adapter(*model, config, LoraInit::gaussian, 3);
  for (auto& m : adapter.matrices) m.b = mx::full(m.b.shape(), 0.002f);
  const auto lora = bind(*model, adapter);
  const auto text = tokens(900);
  for (const ModelLora* l : {static_cast<const ModelLora*>(nullptr), &lora})
    for (const size_t count : {1, 5, 40, 900}) {
      const auto logits = [&](const Model& m) {
        const CachedInput input{make_cache(m), std::span(text).first(count),
                                CachedInput::Want::all};
        return floats(cached_forward(m, l, {&input, 1})->whole());
      };
      const double error = relative_error(logits(*card), logits(*model));
      fmt::print("logits of {} tokens{}: {:.2e} apart, of torch {:.2e}\n", count,
                 l != nullptr ? ", adapted" : "", error, error_of_torch(count));
      EXPECT_LT(error, error_of_torch(count));
    }
}

TEST_F(ForwardOnCard, PromptsInPiecesAreTheWholePrompt) {
  const auto text = tokens(1838);
  const auto whole = last_logits(*card, text, {1838});
  const auto on_cpu = last_logits(*model, text, {1838});
  fmt::print("the whole: {:.2e} from the CPU's, torch {:.2e}\n", relative_error(whole, on_cpu),
             error_of_torch(1838));
  EXPECT_LT(relative_error(whole, on_cpu), error_of_torch(1838));
  for (const std::vector<size_t>& pieces :
       {std::vector<size_t>{1024, 814}, {64, 1774}, {1, 1000, 3, 834}, {1837, 1}}) {
    const auto got = last_logits(*card, text, pieces);
    const std::vector<float> same_rows(whole.end() - static_cast<std::ptrdiff_t>(got.size()),
                                       whole.end());
    const double apart = relative_error(got, same_rows);
    fmt::print("{} pieces: {:.2e} from the whole\n", pieces.size(), apart);
    // Elsewhere products of few rows round otherwise: each is as far from the exact ones as the
    // other.
    if (pieces.back() > 1) {
      EXPECT_LT(apart, pieces[0] == 1024 ? 1e-6 : std::sqrt(2.0) * error_of_torch(1838));
    }
    const auto vocab = static_cast<std::ptrdiff_t>(card->config.vocab_size);
    EXPECT_EQ(std::max_element(got.end() - vocab, got.end()) - got.end(),
              std::max_element(whole.end() - vocab, whole.end()) - whole.end());
  }
}

TEST_F(ForwardOnCard, SharedPrefixesAndBatchesChangeNothing) {
  const auto text = tokens(700);
  std::vector<std::vector<int>> prompts;
  std::vector<ScoreRequest> requests;
  for (int i = 0; i < 12; ++i) {  // a tree: all share 200 tokens, fours of them 300
    std::vector<int> p(text.begin(), text.begin() + 200);
    p.insert(p.end(), text.begin() + 200 + 7 * (i / 4), text.begin() + 300 + 7 * (i / 4));
    p.insert(p.end(), text.begin() + 400 + 11 * i, text.begin() + 420 + 17 * i);
    prompts.push_back(p);
    requests.push_back({p, {{17}, {504, 28, 198}}});
  }
  const auto together = score(*card, nullptr, requests, 12);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto alone = score(*card, nullptr, std::span(requests).subspan(i, 1), 1)[0];
    const auto on_cpu = score(*model, nullptr, std::span(requests).subspan(i, 1), 1)[0];
    for (size_t c = 0; c < alone.size(); ++c) {
      EXPECT_NEAR(alone[c], together[i][c], 0.5);  // of about -20
      EXPECT_NEAR(alone[c], on_cpu[c], 0.5);
    }
  }
  const GenerateOptions options{.max_tokens = 12, .sampling = {}, .eos_token_ids = {}};
  const auto batched = generate(*card, nullptr, prompts, options, 12);
  const auto again = generate(*card, nullptr, prompts, options, 12);
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(batched[i]->tokens.size(), 12u);
    EXPECT_EQ(batched[i]->tokens, again[i]->tokens);  // the same bits
  }
}

// Log-probability of each token of a text but the first, from all before it.
std::vector<double> token_log_probabilities(const Model& model, const std::vector<int>& tokens) {
  const CachedInput input{make_cache(model), tokens, CachedInput::Want::all};
  const auto logits = cached_forward(model, nullptr, std::span(&input, 1))->whole();
  const auto vocab = static_cast<size_t>(model.config.vocab_size);
  std::vector<double> result;
  for (size_t i = 0; i + 1 < tokens.size(); ++i)
    result.push_back(log_probabilities(std::span(logits.data<float>() + i * vocab, vocab),
                                       {&tokens[i + 1], 1})[0]);
  return result;
}

// --fast: how far each token moves, not their mean, in which the signs cancel until the text
// decides. llama.cpp's activations are 8-bit too. What the default must hold is in
// greedy_golden_test.cpp.
TEST_F(Forward, EightBitsMoveTokensAsLittleAsLlamaCpps) {
  std::ifstream file(std::filesystem::path(GAVEL_SOURCE_DIR) / "tests/golden/eight_bits.json");
  const auto golden = nlohmann::json::parse(file);
  const auto tokens = prose();
  ASSERT_EQ(tokens.size(), golden["tokens"].get<size_t>());
  const auto exact =
      token_log_probabilities(with_precision(*model, kernels::Precision::float32), tokens);
  const auto fast =
      token_log_probabilities(with_precision(*model, kernels::Precision::int8), tokens);
  double loss = 0.0, absolute = 0.0, squares = 0.0;
  for (size_t i = 0; i < exact.size(); ++i) {
    loss -= exact[i];
    absolute += std::abs(exact[i] - fast[i]);
    squares += (exact[i] - fast[i]) * (exact[i] - fast[i]);
  }
  const auto count = static_cast<double>(exact.size());
  EXPECT_NEAR(loss / count, golden["exact_loss"].get<double>(), 1e-4);
  EXPECT_LT(absolute / count, 1.2 * golden["mean_absolute"].get<double>());
  EXPECT_LT(std::sqrt(squares / count), 1.2 * golden["rms"].get<double>());
}

}  // namespace
}  // namespace gavel
