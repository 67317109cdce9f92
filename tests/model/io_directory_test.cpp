// Model directories and safetensors files: what is written is read back, and bad ones end in one
// clear sentence.
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "gguf_builder.h"
#include "io_support.h"
#include "model/safetensors.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace fs = std::filesystem;
namespace mx = mlx::core;

std::string safetensors(const std::string& header, const std::string& data = "") {
  return Bytes().text(header).raw(data).data;
}

TEST(Safetensors, WritesWhatItReads) {
  ScratchDirectory scratch;
  const std::vector<NamedArray> tensors{
      {"b", mx::array({1.0f, -2.5f, 3.0f}, {3})},
      {"a.weight", mx::astype(mx::reshape(mx::arange(24, mx::float32), {2, 3, 4}), mx::bfloat16)},
      {"transposed", mx::transpose(mx::reshape(mx::arange(6, mx::int32), {2, 3}))},
      {"empty", mx::zeros({0, 4}, mx::float16)}};
  const fs::path path = scratch.path() / "t.safetensors";
  write_safetensors(path, tensors, {{"format", "mlx"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("format"), "mlx");
  const auto by_mlx = mx::load_safetensors(path.string(), mx::Device::cpu);
  EXPECT_EQ(file.entries().size(), tensors.size());
  for (const auto& [name, array] : tensors) {
    const mx::array back = file.read(name);
    EXPECT_EQ(back.dtype(), array.dtype()) << name;
    EXPECT_EQ(back.shape(), array.shape()) << name;
    EXPECT_TRUE(mx::array_equal(back, array).item<bool>()) << name;
    EXPECT_TRUE(mx::array_equal(by_mlx.first.at(name), array).item<bool>()) << name;
  }
}

TEST(Safetensors, ReadsMisalignedTensors) {
  ScratchDirectory scratch;
  const std::string header = R"({"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                             R"("y":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}})";
  const Bytes data = Bytes().raw("abc").add(1.25f).add(-7.0f);
  const auto tensors = read_safetensors(scratch.write("t", safetensors(header, data.data)));
  EXPECT_EQ(floats(tensors.at("y")), (std::vector<float>{1.25f, -7.0f}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors.at("y").data<float>()) % 4, 0u);
}

// MLX writes null where it is given no metadata.
TEST(Safetensors, MetadataMayBeNull) {
  ScratchDirectory scratch;
  const std::string x = R"("x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  const auto path = scratch.write("t", safetensors(R"({"__metadata__":null,)" + x, "a"));
  EXPECT_TRUE(SafetensorsFile(path).metadata().empty());
  scratch.write("t", safetensors(R"({"__metadata__":3,)" + x, "a"));
  EXPECT_ERROR(read_safetensors(path), "__metadata__ is not an object");
}

// MLX may compute in place over an input that nothing else refers to; the file must not change.
TEST(Safetensors, ComputingOnMappedTensorsLeavesTheFile) {
  ScratchDirectory scratch;
  const fs::path path = scratch.path() / "t.safetensors";
  write_safetensors(path, {{"x", mx::ones({1000}, mx::float32)}});
  const std::string before = read_file(path);
  for (int i = 0; i < 3; ++i) {
    mx::array y = mx::exp(mx::negative(read_safetensors(path).at("x")));
    y.eval();
    EXPECT_NEAR(y.data<float>()[999], 0.36787945f, 1e-6f);
  }
  EXPECT_EQ(read_file(path), before);
}

TEST(Safetensors, BadFilesAreNamed) {
  ScratchDirectory scratch;
  const auto expect = [&](const std::string& bytes, const std::string& part) {
    const fs::path path = scratch.write("t", bytes);
    EXPECT_ERROR(read_safetensors(path), part);
  };
  const auto one = [](const std::string& description) {
    return safetensors("{\"x\":" + description + "}", std::string(16, '\0'));
  };
  expect("", "is cut");
  expect("1234567", "is cut");
  expect(Bytes().add(~uint64_t{0}).raw("{}").data, "its header would take 18446744073709551615");
  expect(Bytes().add(uint64_t{50}).raw("{}").data, "its header would take 50");
  expect(safetensors("{\"x\":"), "not JSON");
  expect(safetensors(std::string(100000, '[')), "not JSON");
  expect(safetensors("[]"), "not a JSON object");
  expect(one("3"), "tensor x is not described by an object");
  expect(one(R"({"shape":[4],"data_offsets":[0,16]})"), "tensor x has no dtype");
  expect(one(R"({"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,16]})"), "has the type F8_E4M3");
  expect(one(R"({"dtype":"F32","shape":4,"data_offsets":[0,16]})"), "no proper shape");
  expect(one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})"), "negative or absurd");
  expect(one(R"({"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,16]})"),
         "absurd shape");
  expect(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0]})"), "no proper data_offsets");
  expect(one(R"({"dtype":"F32","shape":[4],"data_offsets":[-16,0]})"), "no proper data_offsets");
  expect(one(R"({"dtype":"F32","shape":[4],"data_offsets":[8,24]})"),
         "lies at bytes 8 to 24 of 16");
  expect(one(R"({"dtype":"F32","shape":[4],"data_offsets":[16,0]})"), "lies at bytes 16 to 0");
  expect(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})"),
         "has 16 bytes where its shape and type need 12");
  expect(safetensors(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                     R"("y":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}})",
                     std::string(16, '\0')),
         "tensors x and y overlap");
}

// A copy of a golden model that a test may spoil.
class Directory : public ::testing::Test {
 protected:
  void copy(const std::string& model) {
    fs::copy(golden("models") / model, scratch.path(),
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  std::string load_error() {
    return error_of([&] { load_model(scratch.path()); });
  }
  // The error after one change to config.json.
  void expect_with(const std::string& model, const std::function<void(nlohmann::json&)>& change,
                   const std::string& part) {
    copy(model);
    auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
    change(config);
    scratch.write("config.json", config.dump());
    EXPECT_NE(load_error().find(part), std::string::npos)
        << "wanted: " << part << "; the error was: " << load_error();
  }
  ScratchDirectory scratch;
};

TEST_F(Directory, BadConfigsAreNamed) {
  using J = nlohmann::json;
  expect_with(
      "qwen2", [](J& j) { j["model_type"] = "gemma3_text"; },
      "\"gemma3_text\" are not supported; supported are llama, mistral, qwen2, qwen3");
  expect_with(
      "qwen2", [](J& j) { j.erase("model_type"); }, "model_type is missing");
  expect_with(
      "qwen2", [](J& j) { j.erase("hidden_size"); }, "hidden_size is missing");
  expect_with(
      "qwen2", [](J& j) { j["hidden_size"] = "32"; }, "hidden_size must be a whole number");
  expect_with(
      "qwen2", [](J& j) { j["hidden_size"] = -32; }, "hidden_size is -32");
  expect_with(
      "qwen2", [](J& j) { j["hidden_size"] = 1e300; }, "must be a whole number");
  expect_with(
      "qwen2", [](J& j) { j["num_hidden_layers"] = 1000000; }, "num_hidden_layers is");
  expect_with(
      "qwen2", [](J& j) { j["num_hidden_layers"] = 3; }, "tensor model.layers.2.");
  expect_with(
      "qwen2", [](J& j) { j["num_attention_heads"] = 0; }, "num_attention_heads is 0");
  expect_with(
      "qwen2", [](J& j) { j["num_key_value_heads"] = 3; }, "evenly");
  expect_with(
      "qwen2", [](J& j) { j["intermediate_size"] = 96; },
      "is [64, 32] where config.json wants [96, 32]");
  expect_with(
      "qwen2", [](J& j) { j["hidden_act"] = "gelu"; }, "\"gelu\" is not supported");
  expect_with(
      "qwen2",
      [](J& j) {
        j["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4}};
      },
      "rotary scaling of type \"yarn\"");
  expect_with(
      "qwen2", [](J& j) { j["tie_word_embeddings"] = false; }, "lm_head.weight is missing");
  expect_with(
      "llama_bias", [](J& j) { j["attention_bias"] = false; }, "does not ask for it");
  expect_with(
      "qwen2",
      [](J& j) {
        j["quantization_config"] = {{"quant_method", "gptq"}};
      },
      "gptq quantization is not supported");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["mode"] = "mxfp3"; }, "\"mxfp3\"");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["mode"] = "mxfp4"; },
      "model.embed_tokens.scales must be U8 [288, 1] for mxfp4");
  expect_with(
      "llama_mxfp4", [](J& j) { j["quantization"]["group_size"] = 64; },
      "mxfp4 (the default) has groups of 32 with 4 bits, and not of 64 with 4");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["bits"] = 7; }, "7 bits");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["bits"] = 5; }, "where config.json wants");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["group_size"] = 64; }, "groups of 64");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["group_size"] = 0; }, "groups of 0");
  expect_with(
      "qwen2_mlx4", [](J& j) { j.erase("quantization"), j.erase("quantization_config"); },
      "has scales, so it is quantized");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["model.embed_tokens"] = false; },
      "config.json says it is not quantized");
}

TEST_F(Directory, FieldsThatChangeTheArithmeticAreRefusedByName) {
  using J = nlohmann::json;
  const std::vector<std::pair<const char*, J>> changes = {{"final_logit_softcapping", 30.0},
                                                          {"attn_logit_softcapping", 50},
                                                          {"embedding_multiplier", 12},
                                                          {"residual_multiplier", 0.22},
                                                          {"attention_multiplier", 1.0},
                                                          {"logits_scaling", 8.0},
                                                          {"logit_scale", 0.0625},
                                                          {"query_pre_attn_scalar", 256},
                                                          {"partial_rotary_factor", 0.5},
                                                          {"rope_interleaved", true},
                                                          {"clip_qkv", 8.0},
                                                          {"num_local_experts", 8},
                                                          {"num_experts_per_tok", 2},
                                                          {"use_qk_norm", true},
                                                          {"attention_sinks", {1, 2}},
                                                          {"hidden_activation", "gelu"},
                                                          {"num_layers", 7},
                                                          {"alibi", true}};
  for (const auto& [name, value] : changes)
    expect_with(
        "llama", [&](J& j) { j[name] = value; }, std::string(name) + " (" + value.dump() + ")");
  expect_with(
      "llama", [](J& j) { j["rope_parameters"]["partial_rotary_factor"] = 0.5; },
      "the rotary embedding's partial_rotary_factor (0.5)");
  expect_with(
      "qwen2", [](J& j) { j["layer_types"][1] = "linear_attention"; },
      "layers of the type \"linear_attention\"");
  expect_with(
      "qwen2_mlx4", [](J& j) { j["quantization"]["rounding"] = 2; }, "rounding is not known");
}

TEST_F(Directory, NeutralAndHarmlessFieldsPass) {
  copy("llama");
  auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  config.update({{"final_logit_softcapping", nullptr},
                 {"embedding_multiplier", 1.0},
                 {"attention_multiplier", 1 / std::sqrt(8.0)},
                 {"query_pre_attn_scalar", 8},
                 {"partial_rotary_factor", 1},
                 {"rope_interleaved", false},
                 {"clip_qkv", nullptr},
                 {"num_local_experts", 0},
                 {"attention_dropout", 0.1},
                 {"use_flash_attn", true},
                 {"is_llama_config", true},
                 {"temperature", 0.6},
                 {"hidden_activation", "silu"},
                 {"activation", "swiglu"},
                 {"num_layers", config["num_hidden_layers"]},
                 {"layer_norm_eps", 1e-5},
                 {"initializer_factor", 0.5},
                 {"some_note", "made by someone"}});
  scratch.write("config.json", config.dump());
  const Warnings warnings;
  EXPECT_EQ(load_error(), "");
  EXPECT_EQ(warnings.count("not known here and not used: some_note"), 1);
}

TEST_F(Directory, ASlidingWindowIsNamedOnce) {
  copy("mistral");
  auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  config["sliding_window"] = 128;
  scratch.write("config.json", config.dump());
  const Warnings warnings;
  EXPECT_EQ(load_error(), "");
  EXPECT_EQ(warnings.count("the sliding window of 128 tokens is not applied"), 1);
  copy("qwen2");  // switched off, unless a layer says otherwise
  config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  config["sliding_window"] = 64;
  scratch.write("config.json", config.dump());
  EXPECT_EQ(load_error(), "");
  EXPECT_EQ(warnings.count("sliding window of 64"), 0);
  config["use_sliding_window"] = true;  // from a layer on that there is not
  config["max_window_layers"] = config["num_hidden_layers"];
  config.erase("layer_types");
  scratch.write("config.json", config.dump());
  EXPECT_EQ(load_error(), "");
  EXPECT_EQ(warnings.count("sliding window of 64"), 0);
  config["layer_types"] = {"full_attention", "sliding_attention"};
  scratch.write("config.json", config.dump());
  EXPECT_EQ(load_error(), "");
  EXPECT_EQ(warnings.count("sliding window of 64"), 1);
}

TEST_F(Directory, QuantizationConfigAloneIsEnough) {
  copy("qwen2_mlx4");
  auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  config.erase("quantization");
  scratch.write("config.json", config.dump());
  EXPECT_EQ(load_model(scratch.path()).weights.at("model.layers.1.mlp.up_proj").bits, 6);
}

TEST_F(Directory, BadDirectoriesAreNamed) {
  EXPECT_NE(load_error().find("config.json is missing"), std::string::npos) << load_error();
  scratch.write("config.json", "{");
  EXPECT_NE(load_error().find("is not JSON"), std::string::npos) << load_error();
  copy("llama");
  fs::remove(scratch.path() / "model-00002-of-00002.safetensors");
  EXPECT_NE(load_error().find("model-00002-of-00002.safetensors is missing"), std::string::npos);
  scratch.write("model.safetensors.index.json", R"({"weight_map":{"x":"../../etc/passwd"}})");
  EXPECT_NE(load_error().find("is no file of this directory"), std::string::npos) << load_error();
  scratch.write("model.safetensors.index.json", R"({"weights":1})");
  EXPECT_NE(load_error().find("has no weight_map"), std::string::npos) << load_error();
  fs::remove(scratch.path() / "model.safetensors.index.json");
  fs::remove(scratch.path() / "model-00001-of-00002.safetensors");
  scratch.write("pytorch_model.bin", "x");
  EXPECT_NE(load_error().find("convert them to safetensors"), std::string::npos) << load_error();
  EXPECT_ERROR(load_model(scratch.path() / "nowhere"), "there is no model at");
  EXPECT_ERROR(load_model(scratch.path() / "config.json"), "give the directory");
}

TEST_F(Directory, TokenizerConfigVariants) {
  copy("qwen2");
  fs::remove(scratch.path() / "chat_template.jinja");
  fs::remove(scratch.path() / "generation_config.json");
  scratch.write("tokenizer_config.json", R"({"bos_token": null, "eos_token":
      {"content": "<|endoftext|>", "special": true}, "chat_template": [
      {"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]})");
  auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  config["eos_token_id"] = {5, 7};
  scratch.write("config.json", config.dump());
  const LoadedModel model = load_model(scratch.path());
  EXPECT_EQ(model.chat_template, "yes");
  EXPECT_EQ(model.bos_token, "");
  EXPECT_EQ(model.eos_token, "<|endoftext|>");
  // The config's, the tokenizer's own, and <|im_end|>.
  EXPECT_EQ(model.eos_token_ids, (std::vector<int>{0, 2, 5, 7}));
}

}  // namespace
}  // namespace gavel
