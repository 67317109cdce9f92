// Whole models in, compared with what MLX and gguf-py read (tests/golden/model_checksums.json, by
// scripts/make_io_goldens.py).
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "io_support.h"
#include "model/gguf_tensors.h"
#include "model/mx_formats.h"
#include "model/safetensors.h"
#include "model/transformer.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace fs = std::filesystem;

nlohmann::json golden_sums(const std::string& model) {
  return nlohmann::json::parse(read_file(golden("model_checksums.json"))).at(model);
}

void expect_same(const LoadedModel& model, const std::string& name) {
  const auto sums = golden_sums(name);
  size_t found = 0;
  for (const auto& [module, weight] : model.weights) {
    const auto key = module + ".weight";
    ASSERT_TRUE(sums.contains(key)) << key;
    EXPECT_EQ(checksum(values(weight)), sums.at(key).get<std::string>()) << name << " " << key;
    ++found;
  }
  for (const auto& [key, vector] : model.vectors) {
    ASSERT_TRUE(sums.contains(key)) << key;
    EXPECT_EQ(checksum(floats(vector)), sums.at(key).get<std::string>()) << name << " " << key;
    ++found;
  }
  EXPECT_EQ(found, sums.size()) << name;
}

TEST(LoadModel, EmbeddedGgufEqualsGgufPy) {
  const fs::path path = fs::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << "run ./run setup for the embedded model";
  const LoadedModel model = load_model(path);
  EXPECT_EQ(model.config.model_type, "llama");
  EXPECT_EQ(model.config.num_hidden_layers, 30);
  EXPECT_EQ(model.config.head_dim, 64);
  EXPECT_EQ(model.config.rope_theta, 100000.0f);
  EXPECT_TRUE(model.config.tie_word_embeddings);
  EXPECT_EQ(model.eos_token, "<|im_end|>");
  EXPECT_EQ(model.quantization, (Quantization{32, 4}));
  EXPECT_EQ(model.weights.at("model.embed_tokens").bits, 8);
  EXPECT_EQ(model.weights.at("model.layers.3.mlp.up_proj").scales->dtype(), mlx::core::float16);
  ASSERT_TRUE(model.chat_template.has_value());
  EXPECT_EQ(model.tokenizer->vocab_size(), 49152);
  expect_same(model, "smollm2_gguf");
}

TEST(LoadModel, DirectoriesEqualMlx) {
  for (const char* name : {"llama", "llama_bias", "mistral", "qwen2", "qwen3", "qwen2_mlx4",
                           "llama_mlx3", "llama_mxfp4"}) {
    const LoadedModel model = load_model(golden("models") / name);
    expect_same(model, name);
    EXPECT_EQ(model.eos_token_ids, std::vector<int>{2}) << name;
    EXPECT_EQ(model.bos_token, "<|endoftext|>") << name;
    EXPECT_TRUE(model.chat_template.has_value()) << name;
  }
}

TEST(LoadModel, ConfigsAreUnderstood) {
  const auto llama = load_model(golden("models/llama")).config;
  ASSERT_TRUE(llama.rope_scaling.has_value());  // from transformers 5's rope_parameters
  EXPECT_EQ(llama.rope_scaling->rope_type, "llama3");
  EXPECT_EQ(llama.rope_scaling->original_max_position_embeddings, 128);
  EXPECT_EQ(llama.rope_theta, 500000.0f);
  const auto bias = load_model(golden("models/llama_bias")).config;
  EXPECT_TRUE(bias.attention_bias && bias.attention_out_bias && bias.mlp_bias);
  const auto qwen3 = load_model(golden("models/qwen3")).config;
  EXPECT_EQ(qwen3.head_dim, 16);
  EXPECT_TRUE(qwen3.qk_norm);
  const auto mixed = load_model(golden("models/qwen2_mlx4"));
  EXPECT_EQ(mixed.weights.at("model.layers.0.mlp.up_proj").bits, 4);
  EXPECT_EQ(mixed.weights.at("model.layers.1.mlp.up_proj").bits, 6);
  EXPECT_FALSE(mixed.weights.at("model.layers.1.self_attn.o_proj").quantized());
  const auto floating = load_model(golden("models/llama_mxfp4"));
  EXPECT_EQ(floating.weights.at("model.layers.0.mlp.up_proj").bits, 5);
  for (const char* dense : {"model.layers.1.mlp.up_proj", "lm_head"})  // nvfp4, mxfp8
    EXPECT_EQ(floating.weights.at(dense).data.dtype(), mlx::core::bfloat16) << dense;
}

TEST(LoadModel, RopeFrequenciesEqualTransformers) {
  ModelConfig llama32;
  llama32.head_dim = 64;
  llama32.rope_theta = 500000.0f;
  llama32.rope_scaling = RopeScaling{.rope_type = "llama3", .factor = 32.0f};
  for (const auto& [name, config] :
       {std::pair{"llama", load_model(golden("models/llama")).config}, {"llama32", llama32}}) {
    const auto expected = golden_sums("rope_frequencies").at(name).get<std::vector<float>>();
    const auto got = rope_inv_freq(config);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 2e-6f * expected[i]);
  }
}

// Every block format against gguf-py, dequantized and in the packed form.
TEST(GgmlBlocks, EqualGgufPy) {
  const auto blocks = read_safetensors(golden("ggml_blocks.safetensors"));
  const std::vector<std::pair<const char*, GgmlType>> types{
      {"Q4_0", GgmlType::q4_0}, {"Q4_1", GgmlType::q4_1},     {"Q5_0", GgmlType::q5_0},
      {"Q5_1", GgmlType::q5_1}, {"Q8_0", GgmlType::q8_0},     {"Q2_K", GgmlType::q2_k},
      {"Q3_K", GgmlType::q3_k}, {"Q4_K", GgmlType::q4_k},     {"Q5_K", GgmlType::q5_k},
      {"Q6_K", GgmlType::q6_k}, {"IQ4_NL", GgmlType::iq4_nl}, {"IQ4_XS", GgmlType::iq4_xs}};
  for (const auto& [name, type] : types) {
    const auto& data = blocks.at(std::string(name) + ".blocks");
    const auto expected = floats(blocks.at(std::string(name) + ".values"));
    std::vector<float> got(expected.size());
    dequantize_gguf_row(type, reinterpret_cast<const std::byte*>(data.data<uint8_t>()),
                        static_cast<int64_t>(got.size()), got.data());
    EXPECT_EQ(got, expected) << name;
  }
}

TEST(LoadModel, TheHashOfItsWeightsIsOfTheirContents) {
  ScratchDirectory scratch;
  fs::copy(golden("models/llama_bias"), scratch.path() / "copy");
  const auto hash = [](const fs::path& path) { return weights_hash(make_model(load_model(path))); };
  const uint64_t right = hash(golden("models/llama_bias"));
  EXPECT_EQ(hash(scratch.path() / "copy"), right);
  // Any tensor that is another: here one value of each in turn.
  const fs::path file = scratch.path() / "copy/model.safetensors";
  const auto tensors = read_safetensors(file);
  for (const auto& [changed, array] : tensors) {
    std::vector<NamedArray> others;
    for (const auto& [name, a] : tensors)
      others.emplace_back(name,
                          name == changed ? mx::add(a, mx::array(1.0f, a.dtype())) : mx::array(a));
    for (auto& [name, a] : others) a.eval();
    const fs::path written = scratch.path() / "changed.safetensors";
    write_safetensors(written, others);
    fs::remove(file);
    fs::rename(written, file);
    EXPECT_NE(hash(scratch.path() / "copy"), right) << changed;
  }
}

// All codes with scales from the least to the greatest, against MLX's own dequantize.
TEST(MxFormats, EqualMlx) {
  namespace mx = mlx::core;
  for (const Quantization& q : {Quantization{32, 4, QuantizationMode::mxfp4},
                                {32, 8, QuantizationMode::mxfp8},
                                {16, 4, QuantizationMode::nvfp4}}) {
    const int groups = 128, words = q.group_size * q.bits / 32;
    std::vector<uint32_t> packed;
    uint32_t code = 0;
    for (int i = 0; i < 2 * groups * words; ++i) {
      uint32_t word = 0;
      for (int shift = 0; shift < 32; shift += 8, code += q.bits == 8 ? 1 : 37) {
        uint32_t byte = code & 0xff;
        if (q.bits == 8 && (byte & 0x7f) == 0x7f) byte = 0x11;  // E4M3's NaN
        word |= byte << shift;
      }
      packed.push_back(word);
    }
    std::vector<uint8_t> scales;
    for (int i = 0; i < 2 * groups; ++i)
      scales.push_back(
          static_cast<uint8_t>(q.mode == QuantizationMode::nvfp4 ? i % 0x7f : 3 + i % 242));
    mx::array w(packed.begin(), {2, groups * words}, mx::uint32);
    mx::array s(scales.begin(), {2, groups}, mx::uint8);
    mx::eval({w, s});
    const auto got = values(read_mx_weight(w, s, q, "t"));
    const auto expected =
        floats(mx::dequantize(w, s, std::nullopt, q.group_size, q.bits, to_string(q.mode),
                              std::nullopt, mx::float32, mx::Device::cpu));
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], expected[i])
          << to_string(q.mode) << " value " << i << ", scale " << int{scales[i / q.group_size]};
    scales[5] = 0xff;
    mx::array bad(scales.begin(), {2, groups}, mx::uint8);
    bad.eval();
    EXPECT_ERROR(read_mx_weight(w, bad, q, "t"), "t: a scale is 0xff");
  }
}

}  // namespace
}  // namespace gavel
