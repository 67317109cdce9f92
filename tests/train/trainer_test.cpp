// The training loop on the embedded model: a stopped and resumed run against one never stopped,
// what is refused, and what is written.
#include "train/trainer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "embedded_model.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;

class Trainer : public EmbeddedModelTest {
 protected:
  void SetUp() override {
    EmbeddedModelTest::SetUp();
    if (HasFatalFailure()) return;
    directory = fs::temp_directory_path() / fmt::format("gavel_trainer_{}", ::getpid());
    fs::remove_all(directory);
  }
  void TearDown() override { fs::remove_all(directory); }

  static Dataset make_data(size_t count, uint64_t seed) {
    Random random(seed);
    Dataset d;
    d.path = "train.jsonl";
    for (size_t i = 0; i < count; ++i) {
      Example e;
      const auto length = 6 + static_cast<int>(random.below(9));
      std::vector<int32_t> tokens;
      for (int t = 0; t < length; ++t)
        tokens.push_back(static_cast<int32_t>(100 + random.below(40000)));
      e.tokens = std::move(tokens);
      e.prompt_length = 4;
      e.source_line = static_cast<int64_t>(i) + 1;
      e.group = e.source_line;
      d.examples.push_back(e);
    }
    d.summary = summarize(d.examples);
    return d;
  }

  static TrainConfig short_run() {
    TrainConfig c;
    c.iters = 7;
    c.batch_size = 2;
    c.grad_accumulation_steps = 2;
    c.steps_per_report = 2;
    c.steps_per_eval = 3;
    c.val_batches = 1;
    c.save_every = 2;
    c.lora_dropout = 0.1f;
    c.seed = 5;
    c.schedule = {.kind = ScheduleKind::cosine,
                  .learning_rate = 1e-3,
                  .min_learning_rate = 0.0,
                  .warmup_init = 0.0,
                  .warmup = 1,
                  .decay_steps = 3};
    return c;
  }

  static Adapter new_adapter() {
    return make_adapter(*model, {.rank = 4, .scale = 2.0f, .num_layers = 2}, LoraInit::kaiming, 3);
  }

  // The losses that were reported, by iteration; a run that is stopped after each of `stops`.
  std::vector<std::string> run(const fs::path& where, std::vector<int64_t> stops) {
    const auto train_set = make_data(11, 1), valid_set = make_data(4, 2);
    const auto config = short_run();
    std::vector<std::string> lines;
    for (bool done = false; !done;) {
      TrainHooks hooks;
      int64_t iter = 0;
      const int64_t stop = stops.empty() ? -1 : stops.front();
      hooks.on_iteration = [&](int64_t i) { iter = i; };
      hooks.stop_requested = [&] { return stop >= 0 && iter >= stop; };
      hooks.on_train = [&](const TrainReport& r) {
        lines.push_back(fmt::format("train {} {} {}", r.iter, r.loss.value(), r.grad_norm));
      };
      hooks.on_valid = [&](const ValidReport& r) {
        lines.push_back(fmt::format("valid {} {}", r.iter, r.loss));
      };
      Adapter adapter = new_adapter();
      const auto result = train(*model, adapter, train_set, &valid_set, config, where, true, hooks);
      done = result.end == TrainEnd::finished;
      if (!stops.empty()) stops.erase(stops.begin());
    }
    return lines;
  }

  fs::path directory;
};

TEST_F(Trainer, ResumedRunsAreBitForBitTheSame) {
  const auto whole = run(directory / "whole", {});
  for (const auto& stops : std::vector<std::vector<int64_t>>{{1}, {3}, {2, 4, 5}, {6}}) {
    const auto where = directory / fmt::format("stopped_{}", stops.front());
    EXPECT_EQ(run(where, stops), whole);
    for (const char* file :
         {"adapters.safetensors", "best/adapters.safetensors", "checkpoint.safetensors"})
      EXPECT_TRUE(read_file(where / file) == read_file(directory / "whole" / file)) << file;
  }
}

TEST_F(Trainer, ACheckpointOfAnotherRunIsRefused) {
  run(directory, {});
  const auto train_set = make_data(11, 1);
  auto config = short_run();
  config.schedule.learning_rate = 2e-3;
  Adapter adapter = new_adapter();
  try {
    train(*model, adapter, train_set, nullptr, config, directory, true, {});
    FAIL() << "went on from a checkpoint with another learning rate";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("learning_rate is 0.002, was 0.001"), std::string::npos)
        << e.what();
  }
}

TEST_F(Trainer, ACheckpointOfAnotherModelOfTheSameShapeIsRefused) {
  run(directory, {3});
  Model other = *model;
  auto& scales = *other.layers[7].weights[2].scales;
  scales = mx::multiply(scales, mx::array(1.01f, scales.dtype()));
  EXPECT_NE(weights_hash(other), weights_hash(*model));
  const auto train_set = make_data(11, 1);
  Adapter adapter = new_adapter();
  try {
    train(other, adapter, train_set, nullptr, short_run(), directory, true, {});
    FAIL() << "went on with another base model";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("base_weights is"), std::string::npos) << e.what();
  }
}

TEST_F(Trainer, ACutCheckpointIsRefused) {
  run(directory, {3});
  const auto file = directory / "checkpoint.safetensors";
  const auto contents = read_file(file);
  for (const size_t size :
       {size_t{0}, size_t{7}, size_t{100}, contents.size() / 2, contents.size() - 1}) {
    write_file_atomic(file, std::string_view(contents).substr(0, size));
    const auto train_set = make_data(11, 1);
    Adapter adapter = new_adapter();
    EXPECT_THROW(train(*model, adapter, train_set, nullptr, short_run(), directory, true, {}),
                 Error);
  }
}

TEST_F(Trainer, DataWithoutTargetsIsRefusedWithTheNumbers) {
  auto train_set = make_data(3, 1);
  for (auto& e : train_set.examples) {
    e.prompt_length = 100;
    e.truncated = true;
  }
  train_set.summary = summarize(train_set.examples);
  Adapter adapter = new_adapter();
  try {
    train(*model, adapter, train_set, nullptr, short_run(), directory, false, {});
    FAIL() << "trained on nothing";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("of 3 examples 3 are truncated and 3 have no answer left"),
              std::string::npos)
        << e.what();
  }
  EXPECT_FALSE(fs::exists(directory / "adapters.safetensors"));
}

}  // namespace
}  // namespace gavel
