// Memory planned before a run: what is chosen, what is refused, and that the run then takes what
// was planned.
#include "train/plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "train/trainer.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;

// Qwen2.5-7B's shape with LoRA on the named matrices of all layers, 4 bits a weight.
MemoryModel seven_billion(std::vector<Projection> targets, Kernels kernels = Kernels::cuda) {
  MemoryModel m{.kernels = kernels, .fixed = {.weights = 4284263424}};
  ModelConfig& c = m.shape.config;
  c.hidden_size = 3584;
  c.intermediate_size = 18944;
  c.num_hidden_layers = 28;
  c.num_attention_heads = 28;
  c.num_key_value_heads = 4;
  c.head_dim = 128;
  c.vocab_size = 152064;
  for (size_t layer = 0; layer < 28; ++layer)
    for (const Projection p : targets) m.shape.adapted.push_back({layer, p, 8});
  return m;
}

// `count` examples of so many tokens, all of which carry loss.
Dataset examples(int count, int tokens) {
  Dataset d;
  for (int i = 0; i < count; ++i) {
    std::vector<int32_t> ids;
    for (int t = 0; t < tokens; ++t) ids.push_back((i * 7919 + t * 31) % 40000 + 100);
    Example e;
    e.tokens = std::move(ids);
    d.examples.push_back(e);
  }
  d.summary = summarize(d.examples);
  return d;
}

constexpr size_t operator""_GB(long double gigabytes) {
  return static_cast<size_t>(gigabytes * 1e9L);
}

MemoryPlan plan(const MemoryModel& model, size_t limit, TrainConfig config = {},
                int length = 2048) {
  config.batch_size = 8;
  config.iters = 1;
  return plan_memory(model, examples(8, length), config, limit);
}

TEST(MemoryPlan, TheFastestWayThatFits) {
  const auto qv = seven_billion({Projection::q, Projection::v});
  const auto roomy = plan(qv, 79.0_GB);
  EXPECT_TRUE(roomy.fits);
  EXPECT_EQ(roomy.passes.micro_batch_tokens, 16384);
  EXPECT_EQ(roomy.passes.recompute, Recompute::none);
  EXPECT_EQ(plan(qv, 40.0_GB).passes.micro_batch_tokens, 8192);
  EXPECT_EQ(plan(qv, 20.0_GB).passes.micro_batch_tokens, 4096);
  size_t before = SIZE_MAX;
  for (const size_t limit : {24.0_GB, 16.0_GB, 12.6_GB, 10.0_GB, 8.0_GB}) {
    const auto p = plan(qv, limit);
    EXPECT_TRUE(p.fits) << limit;
    EXPECT_LE(p.need.total(), limit);
    EXPECT_LE(p.need.activations, before);
    before = p.need.activations;
  }
  EXPECT_EQ(plan(qv, 12.6_GB).passes.recompute, Recompute::none);
  EXPECT_EQ(plan(qv, 12.6_GB).passes.micro_batch_tokens, 2048);
  EXPECT_EQ(plan(qv, 10.0_GB).passes.recompute, Recompute::mlp);
  // More matrices to adapt, more to keep.
  const auto more = seven_billion({Projection::q, Projection::v, Projection::down});
  EXPECT_GT(plan(more, 79.0_GB).need.total(), roomy.need.total());
}

TEST(MemoryPlan, WhatIsAskedForStays) {
  const auto qv = seven_billion({Projection::q, Projection::v});
  EXPECT_EQ(plan(qv, 12.0_GB, {.micro_batch_tokens = 4096}).passes.micro_batch_tokens, 4096);
  EXPECT_EQ(plan(qv, 79.0_GB, {.recompute = Recompute::layer}).passes.recompute, Recompute::layer);
  EXPECT_EQ(plan(qv, 10.0_GB, {.recompute = Recompute::none}).passes.recompute, Recompute::none);
  EXPECT_FALSE(plan(qv, 8.0_GB, {.micro_batch_tokens = 4096, .recompute = Recompute::none}).fits);
}

TEST(MemoryPlan, WhatCannotFitIsRefusedWithNumbers) {
  const auto qv = seven_billion({Projection::q, Projection::v});
  const auto p = plan(qv, 9.0_GB, {}, 16384);
  ASSERT_FALSE(p.fits);
  const std::string why = refusal(qv, p);
  EXPECT_NE(why.find("9.00 GB may be used"), std::string::npos) << why;
  EXPECT_NE(why.find("16383 tokens; --max-seq-length"), std::string::npos) << why;
  // What it says would fit does.
  const int64_t fits = std::stoll(why.substr(why.find("--max-seq-length ") + 17));
  EXPECT_TRUE(plan(qv, 9.0_GB, {}, static_cast<int>(fits)).fits) << fits;
  const auto none = plan(qv, 4.0_GB);
  EXPECT_NE(refusal(qv, none).find("Whatever the data"), std::string::npos);
}

TEST(MemoryPlan, BatchesOf32By4096Fit) {
  const auto qv = seven_billion({Projection::q, Projection::v});
  TrainConfig config{.iters = 1, .batch_size = 32};
  EXPECT_TRUE(plan_memory(qv, examples(32, 4096), config, 79.0_GB).fits);
  EXPECT_TRUE(plan_memory(qv, examples(32, 4096), config, 16.0_GB).fits);
}

TEST(MemoryPlan, AmountsOfMemory) {
  EXPECT_EQ(parse_memory("24GB"), 24.0_GB);
  EXPECT_EQ(parse_memory("0.5"), 0.5_GB);
  EXPECT_EQ(parse_memory("800MB"), 0.8_GB);
  for (const char* bad : {"", "GB", "-1", "0", "12KB", "1e30", "nan", "4 cats"})
    EXPECT_THROW(parse_memory(bad), UsageError) << bad;
}

// The program itself, on the embedded model: its run log says what was planned and what was taken.
class PlannedRun : public testing::Test {
 protected:
  void SetUp() override {
    model = fs::path(GAVEL_SOURCE_DIR) / "models/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (!fs::exists(GAVEL_BINARY) || !fs::exists(model)) GTEST_SKIP() << "not set up";
    directory = fs::temp_directory_path() / fmt::format("gavel_plan_{}", ::getpid());
    fs::remove_all(directory);
    fs::create_directories(directory / "data");
    std::ofstream out(directory / "data/train.jsonl");
    for (int i = 0; i < 4; ++i) {
      std::string text;
      for (int word = 0; word < 2000; ++word) text += fmt::format("{} ", (i * 7 + word * 31) % 977);
      out << nlohmann::json{{"text", text}}.dump() << "\n";
    }
  }
  void TearDown() override { fs::remove_all(directory); }

  int train(const std::string& args, int iters = 1, int length = 700) {
    return std::system(
        fmt::format("cd '{}' && '{}' train --device cpu --model '{}' --data data --val-batches 0 "
                    "--batch-size 2 --iters {} --num-layers -1 --max-seq-length {} {} >out 2>&1",
                    directory.string(), GAVEL_BINARY, model.string(), iters, length, args)
            .c_str());
  }
  // The last entry of an event in its run log.
  nlohmann::json entry(const std::string& event) {
    std::ifstream in(directory / "adapters/metrics.jsonl");
    nlohmann::json last;
    for (std::string line; std::getline(in, line);)
      if (auto e = nlohmann::json::parse(line); e.at("event") == event) last = std::move(e);
    return last;
  }

  void expect_what_was_planned() {
    const double planned = entry("config").at("planned_memory_gb"),
                 taken = entry("train").at("peak_memory_gb");
    EXPECT_NEAR(taken / planned, 1.0, 0.1) << planned << " GB planned, " << taken << " taken";
  }

  fs::path model, directory;
};

TEST_F(PlannedRun, TakesWhatWasPlanned) {
  const char* args =
      "--recompute mlp --lora-targets q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
  ASSERT_EQ(train(args, 1, 450), 0) << read_file(directory / "out");
  expect_what_was_planned();
}

TEST_F(PlannedRun, IsGoneOnWithAsItWasBegun) {
  ASSERT_EQ(train("--recompute mlp --micro-batch-tokens 100", 1, 200), 0);
  ASSERT_EQ(train("--resume", 2, 200), 0) << read_file(directory / "out");
  const std::string out = read_file(directory / "out");
  EXPECT_NE(out.find("parts of at most 100 tokens, computed again: gate and up"), std::string::npos)
      << out;
}

TEST_F(PlannedRun, IsWhatGavelPlanSays) {
  ASSERT_EQ(train("", 1, 150), 0) << read_file(directory / "out");
  const double planned = entry("config").at("planned_memory_gb");
  ASSERT_EQ(std::system(fmt::format("cd '{}' && '{}' plan --device cpu --model '{}' --data data "
                                    "--val-batches 0 --batch-size 2 --iters 1 --num-layers -1 "
                                    "--max-seq-length 150 --json >plan.json 2>out",
                                    directory.string(), GAVEL_BINARY, model.string())
                            .c_str()),
            0)
      << read_file(directory / "out");
  const auto machines = nlohmann::json::parse(read_file(directory / "plan.json"));
  const auto& here = machines.at(0);
  EXPECT_TRUE(here.at("measured"));
  EXPECT_NEAR(here.at("memory_bytes").at("total").get<double>() / 1e9 / planned, 1.0, 0.05);
  EXPECT_GT(here.at("seconds"), 0.0);
  for (size_t i = 1; i < machines.size(); ++i) EXPECT_FALSE(machines[i].at("measured"));
}

TEST_F(PlannedRun, ThatCannotFitIsRefused) {
  EXPECT_NE(train("--memory-limit 200MB"), 0);
  const std::string out = read_file(directory / "out");
  EXPECT_NE(out.find("0.20 GB may be used"), std::string::npos) << out;
  EXPECT_FALSE(fs::exists(directory / "adapters/metrics.jsonl"));
}

}  // namespace
}  // namespace gavel
