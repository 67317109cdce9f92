// The GGUF reader on files made here: every type of value, quantized tensors in every packing, and
// bad files, each of which must end in one clear sentence.
#include <nlohmann/json.hpp>
#include <random>

#include "base/file.h"
#include "gguf_builder.h"
#include "io_support.h"
#include "model/gguf_model.h"
#include "model/gguf_tensors.h"
#include "model/safetensors.h"

namespace gavel {
namespace {

using namespace gavel::testing;

// A llama of one layer in F32 with `q` as a quantized or plain tensor type for its matrices.
GgufBuilder tiny_llama(const std::string& arch = "llama") {
  GgufBuilder g;
  g.set("general.architecture", arch);
  g.set(arch + ".embedding_length", 32u);
  g.set(arch + ".feed_forward_length", 64u);
  g.set(arch + ".block_count", 1u);
  g.set(arch + ".context_length", 128u);
  g.set(arch + ".attention.head_count", 4u);
  g.set(arch + ".attention.head_count_kv", 2u);
  g.set(arch + ".attention.layer_norm_rms_epsilon", 1e-5f);
  g.add_f32("token_embd.weight", {32, 40});
  g.add_f32("output_norm.weight", {32});
  g.add_f32("blk.0.attn_norm.weight", {32});
  g.add_f32("blk.0.attn_q.weight", {32, 32});
  g.add_f32("blk.0.attn_k.weight", {32, 16});
  g.add_f32("blk.0.attn_v.weight", {32, 16});
  g.add_f32("blk.0.attn_output.weight", {32, 32});
  g.add_f32("blk.0.ffn_norm.weight", {32});
  g.add_f32("blk.0.ffn_gate.weight", {32, 64});
  g.add_f32("blk.0.ffn_up.weight", {32, 64});
  g.add_f32("blk.0.ffn_down.weight", {64, 32});
  return g;
}

class Gguf : public ::testing::Test {
 protected:
  LoadedModel load(const GgufBuilder& g) { return load_model(scratch.write("m.gguf", g.build())); }
  LoadedModel load(const std::string& bytes) { return load_model(scratch.write("m.gguf", bytes)); }
  ScratchDirectory scratch;
};

TEST_F(Gguf, ReadsEveryMetadataType) {
  GgufBuilder g;
  const auto scalar = [&](const char* key, uint32_t type, auto value) {
    g.values.push_back(Bytes().text(key).add(type).add(value).data);
  };
  scalar("u8", 0, uint8_t{200});
  scalar("i8", 1, int8_t{-3});
  scalar("u16", 2, uint16_t{60000});
  scalar("i16", 3, int16_t{-300});
  scalar("u32", 4, uint32_t{4000000000u});
  scalar("i32", 5, int32_t{-70000});
  scalar("f32", 6, 1.5f);
  scalar("bool", 7, uint8_t{1});
  scalar("u64", 10, uint64_t{1} << 40);
  scalar("i64", 11, -(int64_t{1} << 40));
  scalar("f64", 12, 2.25);
  g.set("text", "hello");
  g.set_strings("list", {"a", "", "ccc"});
  g.values.push_back(
      Bytes().text("ints").add(9u).add(3u).add(uint64_t{2}).add(int16_t{-1}).add(int16_t{7}).data);
  const GgufFile f(scratch.write("v.gguf", g.build()));
  EXPECT_EQ(f.integer("u8"), 200);
  EXPECT_EQ(f.integer("i8"), -3);
  EXPECT_EQ(f.integer("u16"), 60000);
  EXPECT_EQ(f.integer("i16"), -300);
  EXPECT_EQ(f.integer("u32"), 4000000000);
  EXPECT_EQ(f.integer("i32"), -70000);
  EXPECT_EQ(f.number("f32"), 1.5);
  EXPECT_EQ(f.boolean("bool"), true);
  EXPECT_EQ(f.integer("u64"), int64_t{1} << 40);
  EXPECT_EQ(f.integer("i64"), -(int64_t{1} << 40));
  EXPECT_EQ(f.number("f64"), 2.25);
  EXPECT_EQ(*f.text("text"), "hello");
  EXPECT_EQ(*f.strings("list"), (std::vector<std::string>{"a", "", "ccc"}));
  EXPECT_EQ(*f.integers("ints"), (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(f.integer("absent"), std::nullopt);
  EXPECT_ERROR(f.integer("text"), "metadata text must be a whole number");
  EXPECT_ERROR(f.text("u8"), "metadata u8 must be a string");
}

// Llama's q and k rows are interleaved in the file, other families' are not.
TEST_F(Gguf, RestoresRotaryRows) {
  const auto llama = load(tiny_llama());
  const auto qwen = load(tiny_llama("qwen2"));
  EXPECT_EQ(llama.config.head_dim, 8);
  EXPECT_TRUE(llama.config.tie_word_embeddings);
  for (const char* which : {"q", "k"}) {
    const std::string name = std::string("model.layers.0.self_attn.") + which + "_proj";
    const auto in_file = values(qwen.weights.at(name));
    const auto restored = values(llama.weights.at(name));
    for (size_t row = 0; row < in_file.size() / 32; ++row) {
      // File row (head, i, s) is model row (head, s, i), for 4 pairs a head.
      const size_t head = row / 8, i = row % 8 / 2, s = row % 2;
      EXPECT_EQ(in_file[row * 32], restored[(head * 8 + s * 4 + i) * 32]) << name << row;
    }
  }
  const auto v = "model.layers.0.self_attn.v_proj";
  EXPECT_EQ(values(llama.weights.at(v)), values(qwen.weights.at(v)));
}

TEST_F(Gguf, PacksEveryQuantizedTypeWithoutLoss) {
  const auto blocks = read_safetensors(golden("ggml_blocks.safetensors"));
  const std::vector<std::tuple<std::string, uint32_t, int>> types{
      {"Q4_0", 2, 4},  {"Q4_1", 3, 4},  {"Q5_0", 6, 5},    {"Q5_1", 7, 5},
      {"Q8_0", 8, 8},  {"Q4_K", 12, 4}, {"Q5_K", 13, 5},   {"Q2_K", 10, 0},
      {"Q3_K", 11, 0}, {"Q6_K", 14, 0}, {"IQ4_NL", 20, 8}, {"IQ4_XS", 23, 8}};
  for (const auto& [name, type, bits] : types) {
    const auto& data = blocks.at(name + ".blocks");
    const auto expected = floats(blocks.at(name + ".values"));
    GgufBuilder g;
    const uint64_t cols = expected.size() / 4;
    g.tensors.push_back({"t",
                         {cols, 4},
                         type,
                         std::string(data.data<uint8_t>(), data.data<uint8_t>() + data.size())});
    const auto f = std::make_shared<const GgufFile>(scratch.write("t.gguf", g.build()));
    const Weight w = read_gguf_matrix(f, *f->find_tensor("t"), 0);
    EXPECT_EQ(w.bits, bits) << name;
    const auto got = values(w);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const float slack = bits == 0 ? std::abs(expected[i]) / 2048 + 1e-7f : 0.0f;
      ASSERT_NEAR(got[i], expected[i], slack) << name << " value " << i;
    }
    // The same rows in the interleaved order of two heads of 2.
    const auto turned = values(read_gguf_matrix(f, *f->find_tensor("t"), 4));
    for (const auto& [file_row, row] : {std::pair{0, 0}, {1, 2}, {2, 1}, {3, 3}})
      for (uint64_t c = 0; c < cols; ++c)
        ASSERT_EQ(got[file_row * cols + c], turned[row * cols + c]) << name;
  }
}

TEST_F(Gguf, KeepsBiasesThatF16CannotHold) {
  Bytes block;
  block.add(f32_to_f16(60000.0f));  // times -8: past f16's largest
  for (int i = 0; i < 16; ++i) block.add(static_cast<uint8_t>(0xf0 | i));
  GgufBuilder g;
  g.tensors.push_back({"t", {32, 1}, 2, block.data});
  const auto f = std::make_shared<const GgufFile>(scratch.write("t.gguf", g.build()));
  const Weight w = read_gguf_matrix(f, *f->find_tensor("t"), 0);
  EXPECT_EQ(w.scales->dtype(), mlx::core::float32);
  EXPECT_EQ(values(w).at(3), (3 - 8) * f16_to_f32(f32_to_f16(60000.0f)));
}

TEST_F(Gguf, RecognizesLlama3Frequencies) {
  GgufBuilder g = tiny_llama();
  g.set("llama.attention.key_length", 8u);
  g.set("llama.rope.freq_base", 500000.0f);
  ModelConfig c;
  c.head_dim = 8;
  c.rope_theta = 500000.0f;
  const auto plain = rope_inv_freq(c);
  c.rope_scaling = RopeScaling{.rope_type = "llama3", .factor = 32.0f};
  const auto scaled = rope_inv_freq(c);
  Bytes factors;
  for (int i = 0; i < 4; ++i) factors.add(plain[i] / scaled[i]);
  g.tensors.push_back({"rope_freqs.weight", {4}, 0, factors.data});
  auto got = load(g).config;
  EXPECT_EQ(got.rope_scaling->rope_type, "llama3");
  EXPECT_EQ(got.rope_scaling->factor, 32.0f);
  g.tensors.pop_back();
  g.tensors.push_back(
      {"rope_freqs.weight", {4}, 0, Bytes().add(1.0f).add(2.0f).add(3.0f).add(5.0f).data});
  got = load(g).config;
  EXPECT_EQ(got.rope_scaling->rope_type, "factors");
  EXPECT_NEAR(rope_inv_freq(got)[2], plain[2] / 3.0f, 1e-9f);
}

TEST_F(Gguf, CutAnywhereIsAnError) {
  GgufBuilder g = tiny_llama();
  g.set_strings("list", {"some", "strings"});
  const std::string whole = g.build();
  EXPECT_NO_THROW(load(whole));
  // All over the head, and some of the data.
  for (size_t n = 0; n < whole.size(); n += n < 1600 ? 5 : 4999) {
    const std::string text = error_of([&] { load(whole.substr(0, n)); });
    EXPECT_NE(text, "") << "cut to " << n << " of " << whole.size();
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  EXPECT_ERROR(load(whole.substr(0, whole.size() - 64)), "past the end of the file");
}

// One byte changed, anywhere in the head: an error or a model, never a crash (see ASan's build).
TEST_F(Gguf, FlippedBytesNeverCrash) {
  const std::string whole = tiny_llama().build();
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string bad = whole;
    bad[random() % 1600] = static_cast<char>(random());
    error_of([&] { load(bad); });
  }
}

TEST_F(Gguf, BadHeadsAreNamed) {
  EXPECT_ERROR(load("not a model at all, but long enough"), "does not begin with \"GGUF\"");
  GgufBuilder g = tiny_llama();
  g.version = 1;
  EXPECT_ERROR(load(g), "version 1; versions 2 and 3");
  g.version = 0x03000000;
  EXPECT_ERROR(load(g), "big-endian");
  g.version = 2;
  EXPECT_NO_THROW(load(g));
  const uint64_t huge = uint64_t{1} << 60;
  EXPECT_ERROR(load(Bytes().raw("GGUF").add(3u).add(huge).add(uint64_t{0}).data), "tensors in");
  EXPECT_ERROR(load(Bytes().raw("GGUF").add(3u).add(uint64_t{0}).add(huge).data),
               "metadata values in");
  GgufBuilder list = tiny_llama();
  list.values.push_back(Bytes().text("x").add(9u).add(8u).add(huge).data);
  EXPECT_ERROR(load(list), "claims 1152921504606846976 elements");
  list.values.back() = Bytes().text("x").add(9u).add(9u).add(uint64_t{1}).data;
  EXPECT_ERROR(load(list), "array of arrays");
  list.values.back() = Bytes().text("x").add(77u).data;
  EXPECT_ERROR(load(list), "unknown type 77");
  list.values.back() = Bytes().text("general.architecture").add(8u).text("llama").data;
  EXPECT_ERROR(load(list), "appears twice");
  list.values.back() = Bytes().text("general.alignment").add(4u).add(3u).data;
  EXPECT_ERROR(load(list), "power of two");
}

TEST_F(Gguf, BadTensorsAreNamed) {
  const auto with = [&](const GgufBuilder::Tensor& t) {
    GgufBuilder g = tiny_llama();
    g.tensors[3] = t;  // blk.0.attn_q.weight
    return error_of([&] { load(g); });
  };
  const auto expect = [&](const GgufBuilder::Tensor& t, const std::string& part) {
    EXPECT_NE(with(t).find(part), std::string::npos) << with(t);
  };
  const std::string q = "blk.0.attn_q.weight";
  expect({q, {32, 0}, 0, ""}, "absurd dimension: 0");
  expect({q, {~uint64_t{0}, 2}, 0, ""}, "absurd dimension");
  expect({q, {1u << 30, 1u << 30, 1u << 30}, 0, ""}, "absurd dimension");
  expect({q, {1, 1, 1, 1, 1}, 0, ""}, "5 dimensions");
  expect({q, {32, 32}, 99, ""}, "type number 99");
  expect({q, {30, 32}, 3, ""}, "do not divide into blocks of 32");
  expect({q, {1u << 20, 1u << 20}, 0, ""}, "past the end of the file");
  expect({q, {64, 16}, 0, std::string(4096, '\0')}, "is [16, 64] where the metadata want [32, 32]");
  expect({"other", {32}, 0, std::string(128, '\0')},
         "attn_q.weight (model.layers.0.self_attn.q_proj) is missing");
  expect({"token_embd.weight", {32}, 0, std::string(128, '\0')}, "appears twice");
}

TEST_F(Gguf, BadModelsAreNamed) {
  const auto with = [&](const std::string& entry) {
    GgufBuilder g = tiny_llama();
    const std::string key = entry.substr(0, 8 + entry[0]);
    std::erase_if(g.values, [&](const std::string& v) { return v.starts_with(key); });
    g.values.push_back(entry);
    return error_of([&] { load(g); });
  };
  const auto expect = [&](const Bytes& entry, const std::string& part) {
    EXPECT_NE(with(entry.data).find(part), std::string::npos) << with(entry.data);
  };
  expect(Bytes().text("general.architecture").add(8u).text("gemma3"),
         "\"gemma3\" are not supported; supported are llama, mistral, qwen2, qwen3");
  expect(Bytes().text("general.type").add(8u).text("adapter"), "holds a \"adapter\", not a model");
  expect(Bytes().text("llama.block_count").add(4u).add(2u), "blk.1.attn_norm.weight");
  expect(Bytes().text("llama.block_count").add(4u).add(4000000000u), "llama.block_count is");
  expect(Bytes().text("llama.block_count").add(5u).add(-1), "llama.block_count is -1");
  expect(Bytes().text("llama.attention.head_count").add(4u).add(0u), "num_attention_heads is 0");
  expect(Bytes().text("llama.attention.head_count_kv").add(4u).add(3u), "evenly");
  expect(Bytes().text("llama.expert_count").add(4u).add(8u), "mixtures of experts");
  expect(Bytes().text("llama.rope.scaling.type").add(8u).text("yarn"), "\"yarn\" is not supported");
  expect(Bytes().text("llama.rope.dimension_count").add(4u).add(4u), "4 of 8 dimensions");
  expect(Bytes().text("llama.rope.freq_base").add(6u).add(0.0f), "rope_theta is 0");
  expect(Bytes().text("tokenizer.ggml.model").add(8u).text("gpt2"), "tokenizer.ggml.tokens");
}

// Every key of the architecture is known, neutral, or refused.
TEST_F(Gguf, MetadataThatChangeTheArithmeticAreRefusedByName) {
  const auto with = [&](const auto& add) {
    GgufBuilder g = tiny_llama();
    add(g);
    return error_of([&] { load(g); });
  };
  for (const char* key :
       {"attention.clamp_kqv", "attention.scale", "logit_scale", "final_logit_softcapping",
        "attn_logit_softcapping", "residual_scale", "embedding_scale", "attention.max_alibi_bias",
        "rope.scaling.attn_factor", "rope.scaling.yarn_ext_factor", "some.later_key"}) {
    const std::string name = std::string("llama.") + key;
    const auto error = with([&](GgufBuilder& g) { g.set(name, 0.75f); });
    EXPECT_NE(error.find("metadata " + name + " is not known here"), std::string::npos) << error;
    EXPECT_EQ(with([&](GgufBuilder& g) { g.set(name, 0.0f); }), "") << key;
    EXPECT_EQ(with([&](GgufBuilder& g) { g.set("qwen2." + std::string(key), 0.75f); }), "") << key;
  }
  const auto number = [&](const char* key, auto value) {
    return with([&](GgufBuilder& g) { g.set(key, value); });
  };
  EXPECT_EQ(number("llama.logit_scale", 1.0f), "");
  EXPECT_EQ(number("llama.attention.scale", 0.35355339f), "");  // 1 / sqrt(8)
  EXPECT_NE(number("llama.attention.scale", 1.0f), "");
  EXPECT_EQ(number("llama.rope.scaling.original_context_length", 64u), "");
  EXPECT_EQ(number("llama.hidden_activation", std::string("silu")), "");
  EXPECT_NE(number("llama.hidden_activation", std::string("gelu")), "");
  EXPECT_NE(with([](GgufBuilder& g) {
              g.add_f32("blk.0.attn_sinks.weight", {4});
            }).find("tensor blk.0.attn_sinks.weight is not known"),
            std::string::npos);
}

// The values that llama.cpp gives these keys: linear where there is no type, the older name too.
TEST_F(Gguf, LinearRotaryScaling) {
  const auto frequency = [&](const auto& add) {
    GgufBuilder g = tiny_llama();
    add(g);
    return rope_inv_freq(load(g).config)[1];
  };
  const float plain = frequency([](GgufBuilder&) {});
  const std::string factor = "llama.rope.scaling.factor", old = "llama.rope.scale_linear",
                    type = "llama.rope.scaling.type";
  EXPECT_FLOAT_EQ(frequency([&](GgufBuilder& g) { g.set(old, 4.0f); }), plain / 4);
  EXPECT_FLOAT_EQ(frequency([&](GgufBuilder& g) { g.set(factor, 4.0f); }), plain / 4);
  EXPECT_FLOAT_EQ(frequency([&](GgufBuilder& g) { g.set(factor, 2.0f), g.set(old, 4.0f); }),
                  plain / 2);
  EXPECT_FLOAT_EQ(
      frequency([&](GgufBuilder& g) { g.set(type, std::string("linear")), g.set(old, 4.0f); }),
      plain / 4);
  EXPECT_FLOAT_EQ(
      frequency([&](GgufBuilder& g) { g.set(type, std::string("none")), g.set(factor, 4.0f); }),
      plain);
  EXPECT_FLOAT_EQ(frequency([&](GgufBuilder& g) { g.set(factor, 0.0f); }), plain);
}

TEST_F(Gguf, ASlidingWindowIsNamedOnce) {
  GgufBuilder g = tiny_llama();
  g.set("llama.attention.sliding_window", 4u);
  const Warnings warnings;
  load(g);
  EXPECT_EQ(warnings.count("the sliding window of 4 tokens is not applied"), 1);
}

// A vocabulary of SentencePiece: "ab" is better than "bc", whatever their order.
TEST_F(Gguf, SentencePieceVocabulary) {
  const std::vector<std::string> tokens{"<unk>", "<s>", "</s>", "<0x0A>", "bc",
                                        "ab",    "a",   "b",    "c",      "\xE2\x96\x81"};
  const auto with = [&](const std::vector<float>& scores) {
    GgufBuilder g = tiny_llama();
    g.set("tokenizer.ggml.model", "llama");
    g.set_strings("tokenizer.ggml.tokens", tokens);
    g.set_numbers<int32_t>("tokenizer.ggml.token_type", 5, {2, 3, 3, 6, 1, 1, 1, 1, 1, 1});
    if (!scores.empty()) g.set_numbers("tokenizer.ggml.scores", 6, scores);
    return g;
  };
  const LoadedModel model = load(with({0, 0, 0, 0, -2, -1, -3, -4, -5, -6}));
  EXPECT_EQ(model.tokenizer->encode("abc\n</s>", true), (std::vector<int>{1, 9, 5, 8, 3, 2}));
  EXPECT_EQ(model.tokenizer->decode(std::vector<int>{1, 9, 5, 8, 3, 2}, true), "abc\n");
  EXPECT_EQ(model.eos_token, "</s>");
  EXPECT_EQ(model.eos_token_ids, std::vector<int>{2});
  // Without scores, or all the same: the order of the pieces.
  for (const auto& scores : {std::vector<float>{}, std::vector<float>(10, -1000.0f)})
    EXPECT_EQ(load(with(scores)).tokenizer->encode("abc"), (std::vector<int>{9, 6, 4}));
  EXPECT_ERROR(load(with({1, 2})), "2 token scores for 10 tokens");
  GgufBuilder g = with({});
  g.set("tokenizer.ggml.scores", "x");
  EXPECT_ERROR(load(g), "tokenizer.ggml.scores must be an array of numbers");
  g = with({0, 0, 0, 0, -2, -1, -3, -4, -5, -6});
  g.values.push_back(
      Bytes().text("tokenizer.ggml.add_space_prefix").add<uint32_t>(7).add(uint8_t{0}).data);
  EXPECT_EQ(load(g).tokenizer->encode("abc"), (std::vector<int>{5, 8}));
}

// The tiny llama in two parts, as gguf-split writes them.
class SplitGguf : public Gguf {
 protected:
  SplitGguf() {
    first = tiny_llama();
    second.tensors.assign(first.tensors.begin() + 5, first.tensors.end());
    first.tensors.resize(5);
    describe(first, 0, 2, 11);
    describe(second, 1, 2, 11);
  }
  static void describe(GgufBuilder& g, uint16_t no, uint16_t count, int32_t tensors) {
    g.values.push_back(Bytes().text("split.no").add<uint32_t>(2).add(no).data);
    g.values.push_back(Bytes().text("split.count").add<uint32_t>(2).add(count).data);
    g.values.push_back(Bytes().text("split.tensors.count").add<uint32_t>(5).add(tensors).data);
  }
  void write() {
    one = scratch.write("m-00001-of-00002.gguf", first.build());
    two = scratch.write("m-00002-of-00002.gguf", second.build());
  }
  GgufBuilder first, second;
  std::filesystem::path one, two;
};

TEST_F(SplitGguf, AnyPartNamesTheModel) {
  write();
  const LoadedModel whole = load(tiny_llama());
  for (const auto& path : {one, two}) {
    const LoadedModel model = load_model(path);
    ASSERT_EQ(model.weights.size(), whole.weights.size());
    for (const auto& [name, w] : whole.weights)
      EXPECT_EQ(values(w), values(model.weights.at(name))) << name;
  }
}

TEST_F(SplitGguf, WrongPartsAreNamed) {
  write();
  std::filesystem::remove(one);
  EXPECT_ERROR(load_model(two), "is part 2 of 2 of a split model, and part 1 is missing: ");
  write();
  const auto renamed = scratch.write("model.gguf", first.build());
  EXPECT_ERROR(load_model(renamed), "its name does not tell where the others are");
  const GgufBuilder good = second;
  second.values.clear();
  describe(second, 0, 2, 11);
  write();
  EXPECT_ERROR(load_model(one),
               "m-00002-of-00002.gguf calls itself part 1 of 2 of a split model, and its name "
               "part 2 of 2");
  second = tiny_llama();  // a whole model under a part's name
  write();
  EXPECT_ERROR(load_model(one), "calls itself part 1 of 1");
  second = good;
  second.values.clear();
  describe(second, 1, 2, 12);
  write();
  EXPECT_ERROR(load_model(one), "belongs to a model of 12 tensors, and part 1 to one of 11");
  second = good;
  second.tensors.push_back(first.tensors[0]);
  write();
  EXPECT_ERROR(load_model(one), "tensor token_embd.weight is also in another part");
  second = good;
  second.tensors.pop_back();
  write();
  EXPECT_ERROR(load_model(one), "hold 10 tensors, and split.tensors.count says 11");
}

// Some name whole files so.
TEST_F(Gguf, APartsNameWithoutItsMetadataIsAWholeModel) {
  const auto path = scratch.write("m-00001-of-00002.gguf", tiny_llama().build());
  EXPECT_EQ(load_model(path).weights.size(), 8u);
}

TEST(GgufPartName, IsReadAndWritten) {
  const auto name = parse_gguf_part_name("qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "qwen2.5-7b-instruct-q4_k_m");
  EXPECT_EQ(name->part, 2);
  EXPECT_EQ(gguf_part_name(*name), "qwen2.5-7b-instruct-q4_k_m-00002-of-00002.gguf");
  for (const char* other : {"m.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
                            "m-0001-of-00002.gguf", "-00001-of-00002.gguf", "m-00001-of-00002.bin",
                            "m-00001_of-00002.gguf", "m-0000x-of-00002.gguf"})
    EXPECT_FALSE(parse_gguf_part_name(other)) << other;
}

}  // namespace
}  // namespace gavel
