// Adapter directories: what is written reads back, PEFT's layout means the same numbers, and what
// does not fit is refused with a sentence.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "adapter/lora.h"
#include "base/error.h"
#include "base/file.h"
#include "model/safetensors.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;

// A model with only the shapes that adapters need.
Model tiny_model(int layers = 2) {
  const auto zeros = [](int n, int k) {
    auto data = mx::zeros({n, k}, mx::float32);
    data.eval();
    return Weight{.data = data, .scales = {}, .biases = {}};
  };
  ModelConfig config;
  config.hidden_size = 8;
  Model model{.config = config,
              .embed_tokens = zeros(16, 8),
              .lm_head = zeros(16, 8),
              .layers = {},
              .norm = mx::ones({8}),
              .inv_freq = mx::ones({2})};
  for (int i = 0; i < layers; ++i)
    model.layers.push_back({.input_layernorm = mx::ones({8}),
                            .post_attention_layernorm = mx::ones({8}),
                            .q_norm = {},
                            .k_norm = {},
                            .weights = {zeros(8, 8), zeros(4, 8), zeros(4, 8), zeros(8, 8),
                                        zeros(12, 8), zeros(12, 8), zeros(8, 12)},
                            .biases = {}});
  return model;
}

class AdapterFile : public testing::Test {
 protected:
  void SetUp() override {
    directory = fs::temp_directory_path() / fmt::format("gavel_adapter_{}", ::getpid());
    fs::remove_all(directory);
    fs::create_directories(directory);
    adapter = make_adapter(model,
                           {.rank = 3,
                            .scale = 4.0f,
                            .dropout = 0.0f,
                            .targets = {Projection::q, Projection::down},
                            .num_layers = -1},
                           LoraInit::gaussian, 1);
    for (auto& m : adapter.matrices) {
      m.b = mx::random::normal(m.b.shape(), mx::float32, 0.0f, 1.0f, mx::random::key(m.layer));
      m.b.eval();
    }
  }
  void TearDown() override { fs::remove_all(directory); }

  void expect_same(const Adapter& read) {
    ASSERT_EQ(read.matrices.size(), adapter.matrices.size());
    for (size_t i = 0; i < read.matrices.size(); ++i) {
      const auto &a = read.matrices[i], &b = adapter.matrices[i];
      EXPECT_EQ(module_path(a), module_path(b));
      EXPECT_TRUE(mx::array_equal(a.a, b.a).item<bool>());
      EXPECT_TRUE(mx::array_equal(a.b, b.b).item<bool>());
      EXPECT_FLOAT_EQ(a.scale, b.scale);
    }
  }

  void expect_refused(const std::string& part) {
    try {
      load_adapter(model, directory);
      FAIL() << "was read";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  }

  void write_mlx() {
    save_adapter_config(adapter, directory);
    save_adapter_weights(adapter, directory / "adapters.safetensors");
  }

  Model model = tiny_model();
  Adapter adapter;
  fs::path directory;
};

TEST_F(AdapterFile, ReadsWhatItWrites) {
  write_mlx();
  expect_same(load_adapter(model, directory));
  expect_same(load_adapter(model, directory / "adapters.safetensors"));
}

TEST_F(AdapterFile, PeftsLayoutMeansTheSame) {
  std::vector<NamedArray> tensors;
  for (const auto& m : adapter.matrices) {
    const std::string name = "base_model.model." + module_path(m);
    tensors.emplace_back(name + ".lora_A.weight", mx::contiguous(mx::transpose(m.a)));
    tensors.emplace_back(name + ".lora_B.weight", mx::contiguous(mx::transpose(m.b)));
  }
  write_safetensors(directory / "adapter_model.safetensors", tensors);
  write_file_atomic(directory / "adapter_config.json",
                    R"({"peft_type": "LORA", "r": 3, "lora_alpha": 12, "bias": "none"})");
  expect_same(load_adapter(model, directory));
}

TEST_F(AdapterFile, StackedAdaptersAddUp) {
  const Adapter both = stack({{adapter, 0.5f}, {adapter, 0.25f}});
  for (size_t i = 0; i < both.matrices.size(); ++i) {
    const auto product = mx::multiply(mx::matmul(both.matrices[i].a, both.matrices[i].b),
                                      mx::array(both.matrices[i].scale));
    const auto one = mx::multiply(mx::matmul(adapter.matrices[i].a, adapter.matrices[i].b),
                                  mx::array(adapter.matrices[i].scale * 0.75f));
    EXPECT_TRUE(mx::allclose(product, one, 1e-5, 1e-6).item<bool>());
  }
}

TEST_F(AdapterFile, WhatDoesNotFitIsRefused) {
  expect_refused("adapter_config.json");
  write_mlx();
  fs::remove(directory / "adapters.safetensors");
  expect_refused("adapters.safetensors");
  write_file_atomic(directory / "adapters.safetensors", "not safetensors at all");
  expect_refused("adapters.safetensors");
  write_safetensors(directory / "adapters.safetensors",
                    {{"model.layers.0.self_attn.q_proj.lora_a", mx::zeros({8, 3})}});
  expect_refused("has only one of its two LoRA matrices");
  write_safetensors(directory / "adapters.safetensors",
                    {{"model.layers.7.self_attn.q_proj.lora_a", mx::zeros({8, 3})},
                     {"model.layers.7.self_attn.q_proj.lora_b", mx::zeros({3, 8})}});
  expect_refused("beyond the model's 2 layers");
  write_safetensors(directory / "adapters.safetensors",
                    {{"model.layers.1.self_attn.q_proj.lora_a", mx::zeros({9, 3})},
                     {"model.layers.1.self_attn.q_proj.lora_b", mx::zeros({3, 8})}});
  expect_refused("is it for another model?");
  write_safetensors(directory / "adapters.safetensors", {{"something.else", mx::zeros({1, 1})}});
  expect_refused("something.else is not a LoRA matrix");
  write_mlx();
  write_file_atomic(directory / "adapter_config.json", "{\"fine_tune_type\": \"dora\"}");
  expect_refused("only lora adapters can be read");
  write_file_atomic(directory / "adapter_config.json", "[1, 2");
  expect_refused("adapter_config.json");
}

// PEFT's layout with matrices of these ranks, and a config.
void write_peft(const fs::path& directory, const nlohmann::ordered_json& config,
                const std::map<std::string, int>& ranks) {
  std::vector<NamedArray> tensors;
  for (const auto& [path, rank] : ranks) {
    const int out = path.ends_with("v_proj") ? 4 : 8;
    const auto key = mx::random::key(std::hash<std::string>()(path));
    tensors.emplace_back("base_model.model." + path + ".lora_A.weight",
                         mx::random::normal({rank, 8}, mx::float32, 0.0f, 1.0f, key));
    tensors.emplace_back("base_model.model." + path + ".lora_B.weight",
                         mx::random::normal({out, rank}, mx::float32, 0.0f, 1.0f, key));
  }
  write_safetensors(directory / "adapter_model.safetensors", tensors);
  write_file_atomic(directory / "adapter_config.json", config.dump());
}

const std::map<std::string, int> kTwo = {{"model.layers.0.self_attn.q_proj", 4},
                                         {"model.layers.1.self_attn.q_proj", 4}};

nlohmann::ordered_json peft_config() {
  return {{"peft_type", "LORA"}, {"r", 4}, {"lora_alpha", 8}};
}

TEST_F(AdapterFile, ScalesAreThoseOfPeft) {
  const auto golden =
      nlohmann::ordered_json::parse(read_file(fs::path(GAVEL_GOLDEN_DIR) / "peft_scales.json"));
  const Model deep = tiny_model(12);
  for (const auto& c : golden.at("cases")) {
    SCOPED_TRACE(c.at("config").dump());
    auto config = golden.at("common");
    config.update(c.at("config"));
    std::map<std::string, int> ranks;
    for (const auto& [path, said] : c.at("modules").items()) ranks[path] = said[0];
    write_peft(directory, config, ranks);
    const Adapter read = load_adapter(deep, directory);
    ASSERT_EQ(read.matrices.size(), ranks.size());
    for (const auto& m : read.matrices)
      EXPECT_FLOAT_EQ(m.scale, c.at("modules").at(module_path(m))[1].get<float>())
          << module_path(m);
  }
}

TEST_F(AdapterFile, PatternsSurviveSaving) {
  auto config = peft_config();
  config["alpha_pattern"] = {{"layers.1.self_attn.q_proj", 64}};
  config["rank_pattern"] = {{".*v_proj", 2}};
  write_peft(directory, config,
             {{"model.layers.0.self_attn.q_proj", 4},
              {"model.layers.1.self_attn.q_proj", 4},
              {"model.layers.1.self_attn.v_proj", 2}});
  const Adapter peft = load_adapter(model, directory);
  save_adapter_config(peft, directory);
  save_adapter_weights(peft, directory / "adapters.safetensors");
  const Adapter mlx = load_adapter(model, directory);
  ASSERT_EQ(mlx.matrices.size(), peft.matrices.size());
  for (size_t i = 0; i < mlx.matrices.size(); ++i) {
    const auto update = [](const LoraMatrix& m) {
      return mx::multiply(mx::matmul(m.a, m.b), mx::array(m.scale));
    };
    EXPECT_TRUE(
        mx::allclose(update(mlx.matrices[i]), update(peft.matrices[i]), 1e-6, 1e-6).item<bool>());
    // mlx_lm's files have one rank and one scale.
    EXPECT_EQ(mlx.matrices[i].a.shape(1), 4);
    EXPECT_EQ(mlx.matrices[i].scale, 16.0f);
  }
}

TEST_F(AdapterFile, PeftSettingsThatChangeTheResultAreRefusedByName) {
  const std::vector<std::pair<nlohmann::ordered_json, std::string>> cases = {
      {{{"init_lora_weights", "pissa"}}, "PiSSA changes the base model's weights"},
      {{{"init_lora_weights", "pissa_niter_16"}}, "PiSSA changes"},
      {{{"init_lora_weights", "corda"}}, "CorDA changes"},
      {{{"init_lora_weights", "olora"}}, "OLoRA changes"},
      {{{"init_lora_weights", "loftq"}}, "LoftQ changes"},
      {{{"init_lora_weights", "lora_ga"}}, "LoRA-GA changes"},
      {{{"init_lora_weights", "new"}}, "is not known and may change the base model"},
      {{{"use_dora", true}}, "use_dora is set: DoRA"},
      {{{"bias", "all"}}, "train biases"},
      {{{"lora_bias", true}}, "lora_bias is set"},
      {{{"modules_to_save", {"lm_head"}}}, "modules_to_save is set"},
      {{{"trainable_token_indices", {1, 2}}}, "trainable_token_indices is set"},
      {{{"layer_replication", {{0, 1}, {0, 1}}}}, "layer_replication is set"},
      {{{"alora_invocation_tokens", {5}}}, "alora_invocation_tokens is set"},
      {{{"kasa_config", {{"beta", 1}}}}, "kasa_config is set"},
      {{{"some_later_method", 0.5}}, "some_later_method is set"},
      {{{"r", 8}}, "has rank 8 there, and its matrices have rank 4"},
      {{{"rank_pattern", {{"q_proj", 2}}}}, "has rank 2 there"},
      {{{"r", nullptr}}, "r is null, not a number"},
      {{{"lora_alpha", "8"}}, "lora_alpha is \"8\", not a number"},
      {{{"use_rslora", 1}}, "use_rslora must be true or false"},
      {{{"alpha_pattern", {{"(q_proj", 2}}}}, "alpha_pattern: the pattern"},
      {{{"alpha_pattern", {{"q_proj", "2"}}}}, "alpha_pattern of q_proj is \"2\""},
      {{{"alpha_pattern", {{"(?:[a-z]|[._0-9]|[a-z._0-9]{2})+[!?]", 2}}}},
       "cannot be matched with"},
      {{{"alpha_pattern", {{std::string(20000, 'x'), 2}}}}, "is too long"},
      {{{"alpha_pattern", {{"((x{1000}){1000}){1000}", 2}}}}, "is not right"}};
  for (const auto& [change, part] : cases) {
    auto config = peft_config();
    config.update(change);
    write_peft(directory, config, kTwo);
    SCOPED_TRACE(change.dump().substr(0, 200));
    expect_refused(part);
  }
  auto config = peft_config();
  config.erase("lora_alpha");
  write_peft(directory, config, kTwo);
  expect_refused("lora_alpha is missing, so the adapter's scale is not known");
  // What is empty, off or says only how it came to be.
  config = peft_config();
  config.update({{"init_lora_weights", "gaussian"},
                 {"some_later_method", false},
                 {"another", nullptr},
                 {"eva_config", {{"rho", 2}}},
                 {"auto_mapping", {{"unsloth_fixed", true}}}});
  write_peft(directory, config, kTwo);
  EXPECT_EQ(load_adapter(model, directory).matrices.size(), 2u);
}

TEST_F(AdapterFile, AnMlxAdapterWithoutItsScaleIsRefused) {
  write_mlx();
  const auto config = [&](const std::string& text) {
    write_file_atomic(directory / "adapter_config.json", text);
  };
  config(R"({"lora_parameters": {"rank": 3, "alpha": 8.0, "dropout": 0.0}})");
  expect_refused("lora_parameters has no scale, only alpha");
  config(R"({"fine_tune_type": "lora"})");
  expect_refused("neither lora_parameters (mlx_lm) nor peft_type (PEFT)");
  config(R"({"lora_parameters": {"rank": 3, "scale": "20"}})");
  expect_refused("lora_parameters.scale is \"20\", not a number");
  config(R"({"lora_parameters": {"rank": 8, "scale": 20}})");
  expect_refused("the rank is 8 there");
  config(R"({"lora_parameters": {"rank": 3, "scale": 20, "use_rslora": true}})");
  expect_refused("lora_parameters.use_rslora is not known");
  config(R"({"lora_parameters": {"rank": 3, "scale": 4, "alpha": 8}, "iters": 10})");
  expect_same(load_adapter(model, directory));
}

}  // namespace
}  // namespace gavel
