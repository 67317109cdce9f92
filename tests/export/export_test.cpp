// Models and adapters out: what is written is what was read, the same bytes as the reference
// programs write where they say the same.
#include <nlohmann/json.hpp>

#include "adapter/lora.h"
#include "base/file.h"
#include "export/directory.h"
#include "export/fuse.h"
#include "export/ggml_quantize.h"
#include "export/gguf_export.h"
#include "export/quantize.h"
#include "export/run.h"
#include "export/tokenizer_export.h"
#include "model/gguf_model.h"
#include "model/gguf_tensors.h"
#include "model/io_support.h"
#include "model/safetensors.h"

namespace gavel {
namespace {

using namespace gavel::testing;
namespace fs = std::filesystem;
namespace mx = mlx::core;

const std::vector<std::string> kModels{"llama", "llama_bias", "mistral",   "qwen2",
                                       "qwen3", "qwen2_mlx4", "llama_mlx3"};
const char* const kTexts[] = {"the judge compares two answers", "  1234 été\n\n\t<|im_end|>x", "",
                              "<|im_start|>user\nWhy?<|im_end|>\n"};

void expect_same_text_side(const LoadedModel& a, const LoadedModel& b, const std::string& name) {
  EXPECT_EQ(a.chat_template, b.chat_template) << name;
  EXPECT_EQ(a.bos_token, b.bos_token) << name;
  EXPECT_EQ(a.eos_token, b.eos_token) << name;
  for (const char* text : kTexts)
    for (const bool specials : {false, true})
      EXPECT_EQ(a.tokenizer->encode(text, specials), b.tokenizer->encode(text, specials)) << name;
}

void expect_same_weights(const LoadedModel& a, const LoadedModel& b, const std::string& name) {
  ASSERT_EQ(a.weights.size(), b.weights.size()) << name;
  ASSERT_EQ(a.vectors.size(), b.vectors.size()) << name;
  for (const auto& [key, w] : a.weights) EXPECT_EQ(values(w), values(b.weights.at(key))) << key;
  for (const auto& [key, v] : a.vectors) EXPECT_EQ(floats(v), floats(b.vectors.at(key))) << key;
}

TEST(GgmlQuantize, EqualsGgufPy) {
  const auto golden_rows = read_safetensors(golden("ggml_quantize.safetensors"));
  const mx::array& rows = golden_rows.at("values");
  const int64_t count = rows.shape(1);
  for (const auto& [name, type] :
       std::initializer_list<std::pair<const char*, GgmlType>>{{"F32", GgmlType::f32},
                                                               {"F16", GgmlType::f16},
                                                               {"BF16", GgmlType::bf16},
                                                               {"Q4_0", GgmlType::q4_0},
                                                               {"Q4_1", GgmlType::q4_1},
                                                               {"Q8_0", GgmlType::q8_0}}) {
    const mx::array& expected = golden_rows.at(name);
    const size_t bytes = static_cast<size_t>(expected.shape(1));
    for (int row = 0; row < rows.shape(0); ++row) {
      std::vector<std::byte> got(bytes);
      quantize_ggml_row(type, rows.data<float>() + row * count, count, got.data());
      EXPECT_EQ(std::memcmp(got.data(), expected.data<uint8_t>() + row * bytes, bytes), 0)
          << name << " row " << row;
    }
  }
}

// The golden directories llama_mlx3 and qwen2_mlx4 are what mlx_lm's convert wrote.
TEST(Quantize, EqualsMlxLm) {
  struct Case {
    std::string from, to;
    QuantizeOptions options;
  };
  for (const Case& c :
       {Case{"llama", "llama_mlx3", {.base = {32, 3}}},
        Case{"qwen2",
             "qwen2_mlx4",
             {.base = {32, 4},
             .rules = {parse_quantize_rule("layers\\.1\\.=6", 32),
                       parse_quantize_rule("layers\\.1\\.self_attn\\.o_proj=none", 32)}}}}) {
    LoadedModel model = load_model(golden("models") / c.from);
    quantize_model(model, c.options);
    const LoadedModel expected = load_model(golden("models") / c.to);
    for (const auto& [name, w] : expected.weights) {
      const Weight& got = model.weights.at(name);
      ASSERT_EQ(got.quantized(), w.quantized()) << name;
      EXPECT_TRUE(mx::array_equal(got.data, w.data).item<bool>()) << name;
      if (!w.quantized()) continue;
      EXPECT_EQ(got.scales->dtype(), w.scales->dtype()) << name;
      EXPECT_TRUE(mx::array_equal(*got.scales, *w.scales).item<bool>()) << name;
      EXPECT_TRUE(mx::array_equal(*got.biases, *w.biases).item<bool>()) << name;
    }
    ScratchDirectory scratch;
    write_model_directory(model, scratch.path() / "out");
    expect_same_weights(load_model(scratch.path() / "out"), expected, c.to);
    const auto config = [](const fs::path& directory) {
      auto q = nlohmann::json::parse(read_file(directory / "config.json")).at("quantization");
      for (auto& [key, value] : q.items())  // mlx_lm leaves "mode" out where it is affine
        if (value.is_object()) value.erase("mode");
      return q;
    };
    EXPECT_EQ(config(scratch.path() / "out"), config(golden("models") / c.to));
  }
}

// What mlx_lm's convert does before it quantizes, and with --dtype.
TEST(Quantize, CastsToTheDeclaredType) {
  ScratchDirectory scratch;
  fs::copy(golden("models/llama_mlx3"), scratch.path());
  auto config = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  for (const auto& [name, dtype] : std::initializer_list<std::pair<const char*, mx::Dtype>>{
           {"float16", mx::float16}, {"bfloat16", mx::bfloat16}}) {
    config["torch_dtype"] = name;
    scratch.write("config.json", config.dump());
    EXPECT_EQ(declared_dtype(load_model(scratch.path())), dtype);
  }
  config["torch_dtype"] = "int8";
  scratch.write("config.json", config.dump());
  LoadedModel model = load_model(scratch.path());
  EXPECT_EQ(declared_dtype(model), std::nullopt);
  cast_model(model, mx::float32);
  const Weight& w = model.weights.at("model.layers.0.mlp.up_proj");
  EXPECT_EQ(w.bits, 3);
  EXPECT_EQ(w.scales->dtype(), mx::float32);
  EXPECT_EQ(model.vectors.at("model.norm.weight").dtype(), mx::float32);
  const auto before = values(w);
  dequantize_model(model);
  EXPECT_EQ(values(model.weights.at("model.layers.0.mlp.up_proj")), before);
}

TEST(Quantize, RulesAndRecipes) {
  EXPECT_EQ(parse_quantize_rule("a|b=6", 64).to, (Quantization{64, 6}));
  EXPECT_EQ(parse_quantize_rule("x=8:32", 64).to, (Quantization{32, 8}));
  EXPECT_FALSE(parse_quantize_rule("x=none", 64).to.has_value());
  EXPECT_ERROR(parse_quantize_rule("x", 64), "is no rule");
  EXPECT_ERROR(parse_quantize_rule("(=4", 64), "is no regular expression");
  EXPECT_ERROR(parse_quantize_rule("x=7", 64), "7 bits are not possible");
  EXPECT_ERROR(parse_quantize_rule("x=4:48", 64), "groups of 48");
  LoadedModel model = load_model(golden("models/llama"));
  EXPECT_ERROR(quantize_model(model, {.base = {32, 4}, .recipe = "mixed_9_9"}), "unknown recipe");
  quantize_model(model, {.base = {32, 4}, .recipe = "mixed_2_6"});
  EXPECT_EQ(model.weights.at("lm_head").bits, 6);
  EXPECT_EQ(model.weights.at("model.layers.0.self_attn.q_proj").bits, 2);
  // Quantizing again goes through the values; back to dense keeps them.
  quantize_model(model, {.base = {32, 8}});
  const auto as8 = values(model.weights.at("lm_head"));
  cast_model(model, mx::float32);
  dequantize_model(model);
  EXPECT_EQ(values(model.weights.at("lm_head")), as8);
  EXPECT_FALSE(model.quantization.has_value());
}

TEST(ExportGguf, EveryFamilyComesBackTheSame) {
  ScratchDirectory scratch;
  for (const std::string& name : kModels) {
    const LoadedModel model = load_model(golden("models") / name);
    for (const GgufKind kind : {GgufKind::automatic, GgufKind::f32}) {
      const fs::path path = scratch.path() / (name + ".gguf");
      // 6 bits have no block type; bf16 scales of 3 and 4 bits do fit f16 here.
      const bool exact = kind == GgufKind::f32 || name != "qwen2_mlx4";
      const GgufExportReport report = export_gguf(model, kind, path);
      EXPECT_EQ(report.requantized == 0, kind == GgufKind::automatic ? exact : !model.quantization)
          << name;
      const LoadedModel back = load_model(path);
      if (exact) expect_same_weights(model, back, name);
      expect_same_text_side(model, back, name);
      ModelConfig a = model.config;
      const ModelConfig& b = back.config;
      EXPECT_EQ(b.model_type, name == "mistral" ? "llama" : a.model_type);
      EXPECT_EQ(std::tie(a.hidden_size, a.head_dim, a.num_key_value_heads, a.vocab_size),
                std::tie(b.hidden_size, b.head_dim, b.num_key_value_heads, b.vocab_size));
      EXPECT_EQ(std::tie(a.tie_word_embeddings, a.attention_bias, a.attention_out_bias, a.qk_norm,
                         a.mlp_bias, a.max_position_embeddings, a.rms_norm_eps),
                std::tie(b.tie_word_embeddings, b.attention_bias, b.attention_out_bias, b.qk_norm,
                         b.mlp_bias, b.max_position_embeddings, b.rms_norm_eps))
          << name;
      const auto fa = rope_inv_freq(a), fb = rope_inv_freq(b);
      for (size_t i = 0; i < fa.size(); ++i) EXPECT_NEAR(fa[i], fb[i], 1e-6f * fa[i]) << name;
    }
  }
}

TEST(ExportGguf, QuantizedKindsRoundOnce) {
  ScratchDirectory scratch;
  const LoadedModel model = load_model(golden("models/llama"));
  for (const auto& [kind, slack] : {std::pair{GgufKind::q8_0, 1.0f / 250},
                                    {GgufKind::q4_0, 0.08f},
                                    {GgufKind::q4_1, 0.04f},
                                    {GgufKind::bf16, 0.0f},
                                    {GgufKind::f16, 1e-6f}}) {
    export_gguf(model, kind, scratch.path() / "m.gguf");
    const LoadedModel back = load_model(scratch.path() / "m.gguf");
    for (const auto& [name, w] : model.weights) {
      const auto a = values(w), b = values(back.weights.at(name));
      for (size_t i = 0; i < a.size(); ++i)
        ASSERT_NEAR(a[i], b[i], slack * 2.0f) << name << " " << i;  // values reach about 1
    }
  }
}

// A group of zeros has the scale 1e-7, which f16 does not hold, and which does not matter.
TEST(ExportGguf, GroupsOfZerosAreExact) {
  mx::array dense = mx::random::normal({4, 128}, mx::bfloat16, mx::random::key(3));
  dense = mx::concatenate({dense, mx::zeros({2, 128}, mx::bfloat16)}, 0);
  const auto parts = mx::quantize(dense, 64, 4);
  Weight w{parts.at(0), parts.at(1), parts.at(2), 64, 4};
  mx::eval({w.data, *w.scales, *w.biases});
  ASSERT_NE(floats(*w.scales).back(), 0.0f);
  const WeightRows rows(w);
  ASSERT_EQ(lossless_ggml_type(rows), GgmlType::q4_1);
  std::vector<std::byte> blocks(128 / 32 * 20);
  std::vector<float> back(128), expected(128);
  for (int row = 0; row < 6; ++row) {
    pack_ggml_row(GgmlType::q4_1, rows, row, blocks.data());
    dequantize_gguf_row(GgmlType::q4_1, blocks.data(), 128, back.data());
    rows.values(row, expected.data());
    EXPECT_EQ(back, expected) << row;
  }
  // Where the codes are not all 0 it does matter.
  w.data = mx::concatenate({mx::slice(w.data, {0, 0}, {5, 16}), mx::ones({1, 16}, mx::uint32)}, 0);
  w.data.eval();
  EXPECT_EQ(lossless_ggml_type(WeightRows(w)), std::nullopt);
}

fs::path embedded() {
  return fs::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

TEST(ExportGguf, EmbeddedModelKeepsItsBytes) {
  if (!fs::exists(embedded())) GTEST_SKIP() << "run ./run setup for the embedded model";
  ScratchDirectory scratch;
  const LoadedModel model = load_model(embedded());
  const auto report = export_gguf(model, GgufKind::automatic, scratch.path() / "m.gguf");
  EXPECT_EQ(report.lossless, 211);
  const GgufFile before(embedded()), after(scratch.path() / "m.gguf");
  ASSERT_EQ(before.tensors().size(), after.tensors().size());
  for (const GgufTensor& t : before.tensors()) {
    const GgufTensor* u = after.find_tensor(t.name);
    ASSERT_NE(u, nullptr) << t.name;
    ASSERT_EQ(t.type, u->type) << t.name;
    ASSERT_EQ(t.bytes, u->bytes) << t.name;
    EXPECT_EQ(std::memcmp(before.file().bytes().data() + t.offset,
                          after.file().bytes().data() + u->offset, t.bytes),
              0)
        << t.name;
  }
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"})
    EXPECT_EQ(*before.strings(key), *after.strings(key));
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id"})
    EXPECT_EQ(before.integer(key), after.integer(key));
}

TEST(ExportGguf, SplitModelIsTheWholeOne) {
  if (!fs::exists(embedded())) GTEST_SKIP() << "run ./run setup for the embedded model";
  ScratchDirectory scratch;
  const LoadedModel model = load_model(embedded());
  const auto report =
      export_gguf(model, GgufKind::automatic, scratch.path() / "m.gguf", 30'000'000);
  ASSERT_EQ(report.files.size(), 4u);
  EXPECT_EQ(report.files[1].filename(), "m-00002-of-00004.gguf");
  EXPECT_FALSE(fs::exists(scratch.path() / "m.gguf"));
  for (const fs::path& file : report.files) EXPECT_LT(fs::file_size(file), 34'000'000u);
  for (const fs::path& named : {report.files[0], report.files[2]}) {
    const LoadedModel back = load_model(named);
    ASSERT_EQ(back.weights.size(), model.weights.size());
    for (const auto& [name, w] : model.weights)
      EXPECT_TRUE(mx::array_equal(w.data, back.weights.at(name).data).item<bool>()) << name;
    EXPECT_EQ(back.tokenizer->encode("Hello <|im_end|>"),
              model.tokenizer->encode("Hello <|im_end|>"));
  }
  const LoadedModel split = load_model(report.files[0]);
  EXPECT_ERROR(export_gguf(split, GgufKind::automatic, scratch.path() / "m.gguf", 50'000'000),
               "would overwrite parts of the model itself");
  EXPECT_FALSE(tokenizer_files(load_model(report.files[3])).empty());
  fs::remove(report.files[1]);
  EXPECT_ERROR(load_model(report.files[0]),
               "m-00001-of-00004.gguf is part 1 of 4 of a split model, and part 2 is missing: ");
}

TEST(ExportGguf, PartSizes) {
  EXPECT_EQ(parse_part_size("2G"), 2'000'000'000u);
  EXPECT_EQ(parse_part_size("500M"), 500'000'000u);
  EXPECT_EQ(parse_part_size("4096"), 4096u);
  for (const char* bad : {"", "G", "0M", "-1G", "1.5G", "2T", "2 G", "99999999999G", "1GB"})
    EXPECT_EQ(parse_part_size(bad), std::nullopt) << bad;
}

// A SentencePiece vocabulary: GGUF's scores become tokenizer.json's merges and come back.
TEST(ExportTokenizer, SentencePieceBothWays) {
  const auto json = nlohmann::json::parse(read_file(golden("tokenizers/sentencepiece.json")));
  GgufTokenizerFields f;
  f.model = "llama";
  f.tokens = json.at("tokens").get<std::vector<std::string>>();
  f.scores = json.at("scores").get<std::vector<float>>();
  f.token_types = json.at("types").get<std::vector<int>>();
  f.unknown_token_id = 0;
  f.bos_token_id = 1;
  f.eos_token_id = 2;
  for (const bool prefix : {true, false}) {
    ScratchDirectory scratch;
    f.add_space_prefix = prefix;
    const auto file = tokenizer_from_gguf(f, "m.gguf");
    scratch.write("tokenizer.json", file.dump());
    scratch.write("tokenizer_config.json",
                  R"({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})");
    LoadedModel model;
    model.path = scratch.path();
    model.config.vocab_size = 1408;  // more than there are tokens
    DirectoryTokenizer read = Tokenizer::from_directory(scratch.path());
    model.tokenizer = read.tokenizer;
    model.bos_token = read.bos_token;
    model.eos_token = read.eos_token;
    const Tokenizer direct = Tokenizer::from_gguf(f, "m.gguf");
    for (const char* text : kTexts) {
      EXPECT_EQ(read.tokenizer.encode(text, true), direct.encode(text, true)) << text;
      EXPECT_EQ(read.tokenizer.decode(direct.encode(text)), direct.decode(direct.encode(text)));
    }
    const GgufTokenizerFields back = tokenizer_to_gguf(model);
    EXPECT_EQ(back.model, "llama");
    EXPECT_EQ(back.add_space_prefix, prefix);
    EXPECT_EQ(back.add_bos_token, true);
    EXPECT_EQ(std::tie(back.unknown_token_id, back.bos_token_id, back.eos_token_id),
              std::tie(f.unknown_token_id, f.bos_token_id, f.eos_token_id));
    ASSERT_EQ(back.tokens.size(), 1408u);
    EXPECT_TRUE(std::equal(f.tokens.begin(), f.tokens.end(), back.tokens.begin()));
    EXPECT_TRUE(std::equal(f.token_types.begin(), f.token_types.end(), back.token_types.begin()));
    EXPECT_EQ(tokenizer_from_gguf(back, "m")["model"]["merges"], file["model"]["merges"]);
    // A word that was added later, which its pieces would spell: no merges lead to it.
    auto added = file;
    added["added_tokens"].push_back(
        {{"id", 1400}, {"content", "theen"}, {"special", false}, {"normalized", false}});
    scratch.write("tokenizer.json", added.dump());
    const Tokenizer grown = Tokenizer::from_directory(scratch.path()).tokenizer;
    model.tokenizer = grown;
    const GgufTokenizerFields with_word = tokenizer_to_gguf(model);
    EXPECT_EQ(with_word.token_types[1400], 4);
    const Tokenizer again = Tokenizer::from_gguf(with_word, "m");
    for (const char* text : {"the theen then", "theen", "entheen\nthe"}) {
      const auto ids = grown.encode(text);
      EXPECT_NE(std::find(ids.begin(), ids.end(), 1400), ids.end()) << text;
      EXPECT_EQ(again.encode(text), ids) << text;
    }
    // Merges that no scores express.
    auto spoilt = file;
    spoilt["model"]["merges"].erase(50);
    scratch.write("tokenizer.json", spoilt.dump());
    EXPECT_ERROR(tokenizer_to_gguf(model), "its merges are not those of a SentencePiece");
  }
}

TEST(ExportDirectory, FromGgufWithItsTokenizer) {
  if (!fs::exists(embedded())) GTEST_SKIP() << "run ./run setup for the embedded model";
  ScratchDirectory scratch;
  const LoadedModel model = load_model(embedded());
  for (const auto& [name, text] : tokenizer_files(model)) scratch.write(name, text);
  const Tokenizer back = Tokenizer::from_file(scratch.path() / "tokenizer.json");
  EXPECT_EQ(back.vocab_size(), model.tokenizer->vocab_size());
  for (const char* text : kTexts) {
    EXPECT_EQ(back.encode(text, true), model.tokenizer->encode(text, true));
    EXPECT_EQ(back.decode(back.encode(text)),
              model.tokenizer->decode(model.tokenizer->encode(text)));
  }
  EXPECT_EQ(read_file(scratch.path() / "chat_template.jinja"), *model.chat_template);
}

TEST(ExportDirectory, ComesBackTheSameInShards) {
  ScratchDirectory scratch;
  for (const std::string& name : kModels) {
    const LoadedModel model = load_model(golden("models") / name);
    write_model_directory(model, scratch.path() / "out", 16384);
    EXPECT_FALSE(fs::exists(scratch.path() / "out/model.safetensors"));
    const LoadedModel back = load_model(scratch.path() / "out");
    expect_same_weights(model, back, name);
    expect_same_text_side(model, back, name);
    EXPECT_EQ(back.eos_token_ids, model.eos_token_ids);
    EXPECT_EQ(back.quantization, model.quantization);
  }
  const LoadedModel model = load_model(scratch.path() / "out");
  EXPECT_ERROR(write_model_directory(model, scratch.path() / "out"), "is the model itself");
}

// mlx_lm's llama finds the rotary settings at the top of config.json only.
TEST(ExportDirectory, RotarySettingsForMlxLm) {
  ScratchDirectory scratch;
  const LoadedModel model = load_model(golden("models/llama"));
  write_model_directory(model, scratch.path());
  const auto j = nlohmann::json::parse(read_file(scratch.path() / "config.json"));
  EXPECT_EQ(j.at("rope_theta"), 500000.0);
  EXPECT_EQ(j.at("rope_scaling").at("rope_type"), "llama3");
  EXPECT_EQ(rope_inv_freq(load_model(scratch.path()).config), rope_inv_freq(model.config));
}

// From GGUF there is no config.json to copy.
TEST(ExportDirectory, FromGgufWritesAConfig) {
  ScratchDirectory scratch;
  for (const std::string& name : kModels) {
    const LoadedModel model = load_model(golden("models") / name);
    export_gguf(model, GgufKind::automatic, scratch.path() / "m.gguf");
    const LoadedModel gguf = load_model(scratch.path() / "m.gguf");
    if (gguf.config.rope_scaling && gguf.config.rope_scaling->rope_type == "factors") {
      EXPECT_ERROR(write_model_directory(gguf, scratch.path() / "none"), "rope_freqs.weight");
      EXPECT_FALSE(fs::exists(scratch.path() / "none"));
      continue;
    }
    write_model_directory(gguf, scratch.path() / "out");
    const LoadedModel back = load_model(scratch.path() / "out");
    expect_same_weights(gguf, back, name);
    expect_same_text_side(model, back, name);
    EXPECT_EQ(back.eos_token_ids, gguf.eos_token_ids);
  }
}

// Nothing that somebody else wrote is lost.
TEST(ExportDirectory, RefusesWhatItDidNotWrite) {
  ScratchDirectory scratch;
  const LoadedModel model = load_model(golden("models/qwen2"));
  const fs::path out = scratch.path() / "out";
  const auto write = [&] { write_model_directory(model, out, 16384); };
  scratch.write("out/notes.txt", "mine");
  EXPECT_ERROR(write(), "is not empty and holds nothing that gavel wrote");
  fs::copy(golden("models/llama"), out);
  EXPECT_ERROR(write(), "holds model-0000");
  fs::remove_all(out);
  write();
  scratch.write("out/notes.txt", "mine");
  // Again, in fewer files: the old shards go, what is not gavel's stays.
  write_model_directory(model, out);
  EXPECT_EQ(load_model(out).weights.size(), model.weights.size());
  EXPECT_TRUE(fs::exists(out / "model.safetensors"));
  EXPECT_FALSE(fs::exists(out / "model-00001-of-00002.safetensors"));
  EXPECT_EQ(read_file(out / "notes.txt"), "mine");
  EXPECT_ERROR(check_model_target(scratch.write("file", "x")), "is a file");
  EXPECT_ERROR(check_peft_target(out), "is not empty");
}

TEST(ExportGguf, RefusesWhatHasNoPlace) {
  ScratchDirectory scratch;
  fs::copy(golden("models/qwen2"), scratch.path() / "m");
  const auto change = [&](const std::function<void(nlohmann::json&)>& edit) {
    auto j = nlohmann::json::parse(read_file(golden("models/qwen2/tokenizer.json")));
    edit(j);
    scratch.write("m/tokenizer.json", j.dump());
    return error_of([&] {
      export_gguf(load_model(scratch.path() / "m"), GgufKind::f32, scratch.path() / "m.gguf");
    });
  };
  const auto split = change([](auto& j) {
    j["pre_tokenizer"] = {{"type", "Sequence"},
                          {"pretokenizers",
                           {{{"type", "Split"},
                             {"pattern", {{"Regex", "my own"}}},
                             {"behavior", "Isolated"},
                             {"invert", false}},
                            {{"type", "ByteLevel"},
                             {"add_prefix_space", false},
                             {"trim_offsets", true},
                             {"use_regex", false}}}}};
  });
  EXPECT_NE(split.find("its pre-tokenizer has no name in GGUF"), std::string::npos) << split;
  fs::remove(scratch.path() / "m/tokenizer.json");
  EXPECT_ERROR(
      export_gguf(load_model(scratch.path() / "m"), GgufKind::f32, scratch.path() / "m.gguf"),
      "has no tokenizer.json");
  EXPECT_FALSE(fs::exists(scratch.path() / "m.gguf"));
  EXPECT_FALSE(parse_gguf_kind("Q3_K").has_value());
  EXPECT_EQ(parse_gguf_kind("q8_0"), GgufKind::q8_0);
}

// ---- adapters ----

Adapter random_adapter(const Model& model, uint64_t seed, float scale = 2.0f) {
  LoraConfig config;
  config.rank = 4;
  config.scale = scale;
  config.num_layers = -1;
  config.targets = {Projection::q, Projection::k, Projection::v, Projection::down};
  Adapter adapter = make_adapter(model, config, LoraInit::kaiming, seed);
  for (LoraMatrix& m : adapter.matrices) {
    m.b = mx::random::normal(m.b.shape(), mx::float32, 0.0f, 0.05f, mx::random::key(++seed));
    m.b.eval();
  }
  return adapter;
}

std::vector<int> some_ids(const LoadedModel& model) {
  return model.tokenizer->encode("the judge compares two answers and then writes the verdict");
}

TEST(Fuse, GivesTheLogitsOfBaseAndAdapter) {
  for (const char* name : {"llama", "qwen2", "qwen3", "llama_bias"}) {
    LoadedModel loaded = load_model(golden("models") / name);
    cast_model(loaded, mx::float32);
    dequantize_model(loaded);
    const Model base = make_model(loaded);
    const Adapter one = random_adapter(base, 1), two = random_adapter(base, 50);
    const Adapter both = stack({{one, 0.7f}, {two, -0.3f}});
    LoadedModel fused = loaded;
    fuse_adapter(fused, both);
    // The sum of the two, computed by itself.
    const std::string q = "model.layers.1.self_attn.q_proj";
    const auto before = values(loaded.weights.at(q)), after = values(fused.weights.at(q));
    const auto entry = [&](const Adapter& a, int out, int in) {
      for (const LoraMatrix& m : a.matrices) {
        if (module_path(m) != q) continue;
        double sum = 0;
        for (int r = 0; r < 4; ++r)
          sum += double{m.a.data<float>()[in * 4 + r]} * m.b.data<float>()[r * m.b.shape(1) + out];
        return sum * m.scale;
      }
      return 0.0;
    };
    for (const auto& [out, in] : {std::pair{0, 0}, {3, 17}, {20, 31}}) {
      const double expected =
          before[out * 32 + in] + 0.7 * entry(one, out, in) - 0.3 * entry(two, out, in);
      EXPECT_NEAR(after[out * 32 + in], expected, 1e-5) << name;
    }
    const ModelLora lora = bind(base, both);
    const auto same = compare_logits(base, &lora, make_model(fused), some_ids(loaded));
    EXPECT_LT(same.largest, 2e-4) << name;
    const auto without = compare_logits(base, nullptr, make_model(fused), some_ids(loaded));
    EXPECT_GT(without.largest, 1e-2) << name;
  }
}

TEST(Fuse, QuantizedStaysQuantized) {
  LoadedModel loaded = load_model(golden("models/qwen2_mlx4"));
  const Model base = make_model(loaded);
  fuse_adapter(loaded, random_adapter(base, 3));
  EXPECT_EQ(loaded.weights.at("model.layers.0.self_attn.q_proj").bits, 4);
  EXPECT_EQ(loaded.weights.at("model.layers.1.mlp.down_proj").bits, 6);
  ScratchDirectory scratch;
  write_model_directory(loaded, scratch.path());
  expect_same_weights(loaded, load_model(scratch.path()), "fused");
}

// Densely fused, a matrix is rounded once, whether the adapter touches it or not.
TEST(Fuse, DenseOfQuantized) {
  LoadedModel loaded = load_model(golden("models/qwen2_mlx4"));
  const Model base = make_model(loaded);
  const Adapter adapter = random_adapter(base, 3);
  LoadedModel fused = loaded;
  cast_model(fused, mx::float32);
  fuse_adapter(fused, adapter, true);
  EXPECT_FALSE(fused.weights.at("model.layers.0.self_attn.q_proj").quantized());
  EXPECT_TRUE(fused.weights.at("model.layers.0.self_attn.o_proj").quantized());
  dequantize_model(fused);
  for (const auto& [name, w] : fused.weights) EXPECT_FALSE(w.quantized()) << name;
  const ModelLora lora = bind(base, adapter);
  EXPECT_LT(compare_logits(base, &lora, make_model(fused), some_ids(loaded)).largest, 2e-4);
}

// A GGUF file of another type is made of base plus adapter, not of that rounded to the base's type.
TEST(Fuse, ExportToAnotherTypeRoundsOnce) {
  const fs::path model = golden("models/qwen2_mlx4");
  const LoadedModel loaded = load_model(model);
  const Model base = make_model(loaded);
  const Adapter adapter = random_adapter(base, 3);
  const ModelLora lora = bind(base, adapter);
  ScratchDirectory scratch;
  save_adapter_weights(adapter, scratch.path() / "adapters.safetensors");
  save_adapter_config(adapter, scratch.path(), "{}");
  const auto far = [&](const std::string& type) {
    const fs::path file = scratch.path() / (type + ".gguf");
    run_export({.model = model.string(),
                .adapters = {scratch.path().string()},
                .gguf = file.string(),
                .split_max_size = "",
                .type = type,
                .gguf_lora = "",
                .peft = ""});
    return compare_logits(base, &lora, make_model(load_model(file)), some_ids(loaded)).largest;
  };
  const double rounded = far("auto");
  EXPECT_LT(far("F16"), 0.02 * rounded);
  EXPECT_LT(far("Q8_0"), 0.3 * rounded);
}

TEST(ExportAdapter, PeftComesBackTheSame) {
  ScratchDirectory scratch;
  const Model model = make_model(load_model(golden("models/llama")));
  Adapter adapter = random_adapter(model, 5, 2.5f);
  adapter.matrices[2].scale = 7.0f;  // as adapters read from elsewhere may have
  write_peft_adapter(adapter, "org/base", scratch.path());
  const Adapter back = load_adapter(model, scratch.path());
  ASSERT_EQ(back.matrices.size(), adapter.matrices.size());
  for (size_t i = 0; i < back.matrices.size(); ++i) {
    EXPECT_EQ(module_path(back.matrices[i]), module_path(adapter.matrices[i]));
    EXPECT_EQ(back.matrices[i].scale, adapter.matrices[i].scale);
    EXPECT_EQ(floats(back.matrices[i].a), floats(adapter.matrices[i].a));
    EXPECT_EQ(floats(back.matrices[i].b), floats(adapter.matrices[i].b));
  }
}

TEST(ExportAdapter, GgufLoraHasLlamaCppsLayout) {
  ScratchDirectory scratch;
  const LoadedModel loaded = load_model(golden("models/llama"));
  Adapter adapter = random_adapter(make_model(loaded), 5, 2.5f);
  adapter.matrices[1].scale = 5.0f;
  export_gguf_lora(loaded.config, adapter, scratch.path() / "l.gguf");
  const GgufFile file(scratch.path() / "l.gguf");
  EXPECT_EQ(*file.text("general.type"), "adapter");
  EXPECT_EQ(*file.text("adapter.type"), "lora");
  EXPECT_EQ(*file.text("general.architecture"), "llama");
  const double alpha = file.number("adapter.lora.alpha").value();
  EXPECT_EQ(alpha, 10.0);
  EXPECT_EQ(file.tensors().size(), 2 * adapter.matrices.size());
  for (const LoraMatrix& m : adapter.matrices) {
    const auto name = *gguf_tensor_name(module_path(m) + ".weight");
    const GgufTensor* a = file.find_tensor(name + ".lora_a");
    const GgufTensor* b = file.find_tensor(name + ".lora_b");
    ASSERT_TRUE(a != nullptr && b != nullptr) << name;
    EXPECT_EQ(a->shape, (std::vector<int64_t>{4, m.a.shape(0)}));
    EXPECT_EQ(b->shape, (std::vector<int64_t>{m.b.shape(1), 4}));
    const auto number = [&](const GgufTensor* t, int64_t row, int64_t col) {
      float v;
      std::memcpy(&v, file.file().bytes().data() + t->offset + (row * t->shape[1] + col) * 4, 4);
      return v;
    };
    const bool rotated = m.projection == Projection::q || m.projection == Projection::k;
    for (int64_t out = 0; out < b->shape[0]; ++out)
      for (int r = 0; r < 4; ++r) {
        const int64_t from = deinterleaved_row(out, rotated ? loaded.config.head_dim : 0);
        const float expected = m.b.data<float>()[r * m.b.shape(1) + from] * (m.scale / 2.5f);
        EXPECT_FLOAT_EQ(number(b, out, r), expected) << name;
      }
    EXPECT_EQ(number(a, 3, 7), m.a.data<float>()[7 * 4 + 3]);
  }
}

TEST(Perplexity, IsExpOfTheMeanLoss) {
  LoadedModel loaded = load_model(golden("models/qwen3"));
  const std::string text = "the judge compares two answers and then writes the verdict";
  const auto ids = loaded.tokenizer->encode(text, true);
  const auto rows = static_cast<int32_t>(ids.size() - 1);
  const Model model = make_model(loaded);
  const auto z = floats(logits(model, hidden_states(model, mx::array(ids.data(), {rows}, mx::int32),
                                                    make_segments({rows}), nullptr)));
  const size_t vocab = z.size() / static_cast<size_t>(rows);
  double sum = 0.0;
  for (int32_t t = 0; t < rows; ++t) {
    double total = 0.0;
    for (size_t v = 0; v < vocab; ++v) total += std::exp(double{z[t * vocab + v]});
    sum += std::log(total) - double{z[t * vocab + static_cast<size_t>(ids[t + 1])]};
  }
  EXPECT_NEAR(perplexity(loaded, text), std::exp(sum / rows), 1e-3 * std::exp(sum / rows));
  // In windows the sum is over the same targets.
  EXPECT_GT(perplexity(loaded, text, 5), 1.0);
  EXPECT_ERROR(perplexity(loaded, ""), "needs 2 at least");
}

}  // namespace
}  // namespace gavel
