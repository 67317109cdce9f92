// gavel train's settings, from the command line to what the run used, on the small test model of
// two layers. Right values: mlx_lm's, by scripts/golden_settings.py.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"

namespace gavel {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

class TrainCommand : public testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string text;  // stdout and stderr
    bool says(const std::string& part) const { return text.find(part) != std::string::npos; }
  };

  void SetUp() override {
    if (!fs::exists(GAVEL_BINARY)) GTEST_SKIP() << "the program is not built";
    directory = fs::temp_directory_path() / fmt::format("gavel_train_command_{}", ::getpid());
    fs::remove_all(directory);
    fs::create_directories(directory / "data");
    for (const char* split : {"train", "valid", "test"}) write(data_file(split), records());
  }
  void TearDown() override { fs::remove_all(directory); }

  static std::string records() {
    std::string lines;
    for (int i = 0; i < 6; ++i)
      lines += fmt::format(
          R"({{"messages":[{{"role":"user","content":"Question {}"}},{{"role":"assistant","content":"Answer"}}]}})"
          "\n",
          i);
    return lines;
  }

  std::string data_file(const std::string& split) { return "data/" + split + ".jsonl"; }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory / name, std::ios::binary) << text;
  }

  // gavel train on the small model; `--config lora.yaml` where there is a text for it.
  Outcome train(const std::string& args, const std::string& yaml = "") {
    std::string command =
        fmt::format("cd '{}' && '{}' train --model '{}/models/llama' --data data {}",
                    directory.string(), GAVEL_BINARY, GAVEL_GOLDEN_DIR, args);
    if (!yaml.empty()) {
      write("lora.yaml", yaml);
      command += " --config lora.yaml";
    }
    Outcome outcome;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return outcome;
    char buffer[4096];
    for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
      outcome.text.append(buffer, n);
    outcome.code = WEXITSTATUS(::pclose(pipe));
    return outcome;
  }

  // The run log's entries of one kind.
  std::vector<json> log(const std::string& event, const std::string& run = "adapters") {
    std::vector<json> entries;
    std::istringstream in(read_file(directory / run / "metrics.jsonl"));
    for (std::string line; std::getline(in, line);)
      if (auto entry = json::parse(line); entry.at("event") == event)
        entries.push_back(std::move(entry));
    return entries;
  }
  json config(const std::string& run = "adapters") { return log("config", run).at(0); }
  json adapter(const std::string& run = "adapters") {
    return json::parse(read_file(directory / run / "adapter_config.json"));
  }

  fs::path directory;
};

void expect_near(const json& value, const json& right, const std::string& what) {
  const double v = value.get<double>(), r = right.get<double>();
  EXPECT_NEAR(v, r, 1e-6 * std::abs(r)) << what;
}

TEST_F(TrainCommand, SettingsMeanWhatTheyMeanInMlxLm) {
  const auto cases = json::parse(read_file(fs::path(GAVEL_GOLDEN_DIR) / "train_settings.json"));
  for (const auto& c : cases) {
    const auto name = c.at("name").get<std::string>();
    SCOPED_TRACE(name);
    std::string args = "--val-batches 0";
    for (const auto& arg : c.at("args")) args += " " + arg.get<std::string>();
    const auto outcome = train(args, c.at("yaml"));
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    const json& right = c.at("mlx_lm");
    const auto steps = log("train");
    ASSERT_EQ(steps.size(), right.at("learning_rates").size());
    for (size_t i = 0; i < steps.size(); ++i)
      expect_near(steps[i].at("lr"), right.at("learning_rates")[i], "lr");
    const json now = config();
    expect_near(now.at("rank"), right.at("rank"), "rank");
    expect_near(now.at("scale"), right.at("scale"), "scale");
    for (const char* same : {"batch_size", "seed", "optimizer"})
      EXPECT_EQ(now.at(same), right.at(same)) << same;
    for (const auto& [key, value] : right.at("optimizer_config").items()) {
      if (key == "betas") {
        expect_near(now.at("beta1"), value[0], key);
        expect_near(now.at("beta2"), value[1], key);
      } else {
        expect_near(now.at(key), value, key);
      }
    }
  }
}

TEST_F(TrainCommand, TheCommandLineWinsOverTheFile) {
  const std::string few = "--val-batches 0 --iters 1 --num-layers -1 ";
  const std::string file =
      "lr_schedule: {name: cosine_decay, arguments: [1e-3, 10]}\n"
      "lora_parameters: {rank: 8, alpha: 16}\nmask_prompt: true\nepochs: 2\n";
  auto outcome = train("--val-batches 0 --num-layers -1", file);
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  expect_near(adapter().at("lora_parameters").at("scale"), 2.0, "alpha / rank");
  const auto masked = config().at("train_loss_tokens");
  EXPECT_EQ(config().at("iters"), 4);

  outcome = train(few + "--lora-scale 3 --learning-rate 5e-4 --no-mask-prompt", file);
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  expect_near(config().at("scale"), 3.0, "scale");
  expect_near(config().at("learning_rate"), 5e-4, "rate");
  EXPECT_EQ(config().at("decay_steps"), 10);
  EXPECT_EQ(config().at("iters"), 1);
  EXPECT_GT(config().at("train_loss_tokens"), masked);

  outcome = train(few + "--lora-rank 4", file);
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  expect_near(config().at("scale"), 4.0, "the file's alpha over the rank that holds");
}

TEST_F(TrainCommand, ASettingTwiceInOnePlaceIsRefused) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"iters: 1\niters: 2\n", "lora.yaml:2: iters is given twice"},
      {"lora_parameters:\n  rank: 4\n  rank: 8\n", "lora.yaml:3: lora_parameters.rank is given"},
      {"lora_rank: 4\nlora_parameters: {rank: 4}\n", "--lora-rank is set here, and also at"},
      {"iters: 1\nepochs: 2\n", "by --epochs at lora.yaml:2"},
      {"mask_prompt: true\nno_mask_prompt: true\n", "--no-mask-prompt is set here"},
      {"warmup: 1\nlr_schedule: {name: cosine, arguments: [1, 2], warmup: 1}\n", "--warmup is set"},
      {"optimizer_config: {adamw: {betas: [0.1, 0.2]}}\nbeta1: 0.3\n", "--beta1 is set here"}};
  for (const auto& [yaml, part] : files) {
    const auto outcome = train("", yaml);
    EXPECT_EQ(outcome.code, 1) << yaml;
    EXPECT_TRUE(outcome.says(part)) << outcome.text;
  }
  for (const auto& [args, part] : std::vector<std::pair<std::string, std::string>>{
           {"--lora-scale 1 --lora-alpha 8", "are the same setting"},
           {"--mask-prompt --no-mask-prompt", "are the same setting"},
           {"--iters 3 --epochs 1", "are the same setting"},
           {"--iters 3 --iters 4", "--iters"},
           {"--lora-targets q_proj,self_attn.q_proj", "self_attn.q_proj is named twice"}}) {
    const auto outcome = train(args);
    EXPECT_EQ(outcome.code, 2) << args;
    EXPECT_TRUE(outcome.says(part)) << outcome.text;
  }
}

TEST_F(TrainCommand, EveryFieldOfTheFileIsUsedNamedOrRefused) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"hf_dataset: {path: x}\n", "hf_dataset: data sets of the hub are not read"},
      {"fine_tune_type: dora\n", "fine_tune_type must be lora"},
      {"learning_rte: 1\n", "lora.yaml:1: there is no setting learning-rte"},
      {"help: true\n", "there is no setting help"},
      {"optimizer: muon\n", "lora.yaml:1: --optimizer: muon not in {adamw,adam,sgd}"},
      {"lr_schedule: {name: step_decay, arguments: [1, 2, 3]}\n", "step_decay is not supported"},
      {"lr_schedule: {name: cosine_decay, arguments: [1]}\n", "two or three numbers"},
      {"lr_schedule: {name: cosine_decay, arguments: [1, 2], steps: 3}\n",
       "lr_schedule.steps is not known"},
      {"optimizer: sgd\noptimizer_config: {sgd: {nesterov: true}}\n", "nesterov is not supported"},
      {"lora_parameters: {use_rslora: true}\n", "lora_parameters.use_rslora is not known"},
      {"lora_parameters: {keys: [q_proj, embed]}\n", "embed is no matrix that can be adapted"},
      {"lora_parameters: 8\n", "lora_parameters must be a mapping"},
      {"iters: many\n", "lora.yaml:1: "},
      {"report_to: wandb,tensorboard\n", "lora.yaml:1: --report-to: wandb is a service"},
      {"report_to: comet\n", "comet is not known: there is tensorboard"},
      {"- iters\n", "must be a mapping of settings"}};
  for (const auto& [yaml, part] : refused) {
    const auto outcome = train("", yaml);
    EXPECT_EQ(outcome.code, 1) << yaml << outcome.text;
    EXPECT_TRUE(outcome.says(part)) << outcome.text;
  }
  const auto outcome = train(
      "--val-batches 0 --iters 1 --num-layers -1",
      "project_name: judge\nclear_cache_threshold: 1000000\ntrust_remote_code: true\nhf_dataset:\n"
      "optimizer_config: {adam: {betas: [0.5, 0.6]}, muon: {}, sgd: {nesterov: true}}\n"
      "momentum: 0.5\nmin_lr: 1e-6\n");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  for (const char* named :
       {"lora.yaml:1: project_name has no effect", "clear_cache_threshold has no effect",
        "trust_remote_code has no effect",
        "optimizer_config.adam.betas is not used: the optimizer is adamw",
        "optimizer_config.sgd.nesterov is not used", "lora.yaml:6: --momentum is not used",
        "--min-lr is not used: the learning rate is constant"})
    EXPECT_TRUE(outcome.says(named)) << named << "\n" << outcome.text;
}

// A run that judges at its validations, is stopped and goes on: what its log then holds.
TEST_F(TrainCommand, TheLogHoldsJudgementsTimeLeftAndResumptions) {
  std::string rows;
  for (int i = 0; i < 4; ++i)
    rows += fmt::format(
        R"({{"messages":[{{"role":"user","content":"Which {}"}},{{"role":"assistant","content":"**Verdict:** A"}}],)"
        R"("question":"Q{}?","answer_a":"a","answer_b":"b","label":"A"}})"
        "\n",
        i, i);
  for (const char* split : {"train", "valid"}) write(data_file(split), rows);
  const std::string args =
      "--num-layers -1 --steps-per-report 1 --steps-per-eval 2 --judge-pairs 2 "
      "--report-to tensorboard ";
  auto outcome = train(args + "--iters 2");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(outcome.text.find('\r'), std::string::npos) << "a bar, and no terminal";
  outcome = train(args + "--iters 4 --resume");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  const auto steps = log("train");
  ASSERT_EQ(steps.size(), 4u);
  for (const json& step : steps) EXPECT_GE(step.at("seconds_left").get<double>(), 0.0);
  EXPECT_EQ(log("resume").at(0).at("iters"), 4);
  const auto judged = log("judged");
  ASSERT_EQ(judged.size(), 3u);  // at the start, after 2, and at the end
  EXPECT_EQ(judged[1].at("step"), 2);
  for (const json& at : judged) {
    EXPECT_EQ(at.at("pairs"), 2);
    EXPECT_TRUE(at.at("figures").contains("consistency"));
    ASSERT_EQ(at.at("judgements").size(), 2u);
    EXPECT_EQ(at.at("judgements")[1].at("question"), "Q1?");
    EXPECT_FALSE(at.at("judgements")[1].contains("prompt"));
  }
  EXPECT_FALSE(log("valid").at(0).contains("metric"));  // which adapter is best is up to the loss
  const fs::directory_iterator events(directory / "adapters/tensorboard");
  EXPECT_EQ(std::distance(begin(events), end(events)), 2);
  outcome = train(args + "--iters 1 --val-batches 0");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.says("--judge-pairs needs validation")) << outcome.text;
}

TEST_F(TrainCommand, ATerminalShowsTheTimeLeft) {
  const std::string command = fmt::format(
      "cd '{}' && TERM=xterm script -qec \"'{}' train --model '{}/models/llama' --data data "
      "--num-layers -1 --iters 400 --val-batches 0 --steps-per-report 50\" shown >/dev/null",
      directory.string(), GAVEL_BINARY, GAVEL_GOLDEN_DIR);
  if (std::system("command -v script >/dev/null") != 0) GTEST_SKIP() << "needs bsdutils' script";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::string shown = read_file(directory / "shown");
  EXPECT_NE(shown.find("\rTraining ["), std::string::npos) << shown;
  EXPECT_NE(shown.find(" left"), std::string::npos) << shown;
  // Whatever else is printed begins a line of its own, where the bar was.
  const size_t line = shown.find("Iter 400: Train loss");
  ASSERT_NE(line, std::string::npos);
  EXPECT_TRUE(shown[line - 1] == '\n' || shown.substr(line - 4, 4) == "\r\x1b[K")
      << shown.substr(line - 80, 120);
}

// The page lives as long as the run does.
TEST_F(TrainCommand, WatchServesBesideTheRun) {
  auto outcome = train("--iters 1 --num-layers -1 --val-batches 0 --watch");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_TRUE(outcome.says("Watch the run at http://127.0.0.1:")) << outcome.text;
}

TEST_F(TrainCommand, AnAdapterThatIsThereDecidesItsShape) {
  auto outcome = train(
      "--iters 1 --num-layers 1 --lora-rank 3 --lora-scale 5 --lora-targets o_proj "
      "--adapter-path first");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  // The model has fewer layers than the default of --num-layers.
  outcome = train("--test --adapter-path first");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_TRUE(outcome.says("Test loss")) << outcome.text;
  const std::string again = "--iters 1 --resume-adapter-file first/adapters.safetensors ";
  outcome = train(again + "--lora-alpha 15 --num-layers 1 --lora-targets self_attn.o_proj");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(adapter().at("lora_parameters").at("rank"), 3);
  expect_near(adapter().at("lora_parameters").at("scale"), 5.0, "scale");
  EXPECT_EQ(adapter().at("num_layers"), 1);
  for (const char* other : {"--lora-rank 8", "--lora-scale 20", "--lora-alpha 16",
                            "--lora-targets q_proj", "--num-layers -1", "--lora-init kaiming"}) {
    outcome = train(again + other);
    EXPECT_EQ(outcome.code, 1) << other;
    EXPECT_TRUE(outcome.says("contradicts")) << outcome.text;
  }
  outcome = train("", "train: false\n");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.says("nothing to do")) << outcome.text;
}

TEST_F(TrainCommand, WithoutValidJsonlItSaysSoAndGoesOn) {
  fs::remove(directory / data_file("valid"));
  const std::string args = "--iters 1 --num-layers -1 ";
  auto outcome = train(args);
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_TRUE(outcome.says("There is no data/valid.jsonl: training goes without validation"))
      << outcome.text;
  EXPECT_EQ(outcome.text.find("validation"), outcome.text.rfind("validation")) << "said once";
  EXPECT_EQ(read_file(directory / "adapters/best/adapters.safetensors"),
            read_file(directory / "adapters/adapters.safetensors"));
  for (const char* needs : {"--early-stop-patience 2", "--early-stop-metric agreement"}) {
    outcome = train(args + needs);
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(outcome.says("data/valid.jsonl does not exist, and early stopping needs it"))
        << outcome.text;
  }
}

TEST_F(TrainCommand, FieldsOfTheDataMayHaveOtherNames) {
  std::string completions, texts;
  for (int i = 0; i < 3; ++i) {
    completions += "{\"q\": \"Two?\", \"a\": \"2\"}\n";
    texts += "{\"body\": \"Some text\"}\n";
  }
  const std::string args = "--iters 1 --num-layers -1 --val-batches 0 ";
  write(data_file("train"), completions);
  auto outcome = train(args + "--mask-prompt --prompt-feature q --completion-feature a");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  outcome = train(args, "prompt_feature: q\ncompletion_feature: a\n");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  outcome = train(args);
  EXPECT_EQ(outcome.code, 1) << outcome.text;
  write(data_file("train"), texts);
  outcome = train(args + "--text-feature body");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  std::string chats = records();
  for (size_t at = 0; (at = chats.find("\"messages\"", at)) != std::string::npos; ++at)
    chats.replace(at, 10, "\"turns\"");
  write(data_file("train"), chats);
  outcome = train(args + "--chat-feature turns");
  EXPECT_EQ(outcome.code, 0) << outcome.text;
}

// A batch all of whose answers are cut away has no loss, not a loss of 0.
TEST_F(TrainCommand, ALossOfNoTokensIsNone) {
  std::string lines;
  const auto record = [](const std::string& question) {
    return "{\"prompt\": \"" + question + "\", \"completion\": \"A\"}\n";
  };
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  lines = record("a") + record(words);
  write(data_file("train"), lines);
  const auto outcome = train(
      "--iters 2 --batch-size 1 --num-layers -1 --val-batches 0 --mask-prompt --max-seq-length 48 "
      "--steps-per-report 1");
  ASSERT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_TRUE(outcome.says("Train loss none (no token carried loss)")) << outcome.text;
  EXPECT_FALSE(outcome.says("Train loss 0.000")) << outcome.text;
  int none = 0;
  for (const auto& entry : log("train")) none += entry.at("loss").is_null() ? 1 : 0;
  EXPECT_EQ(none, 1);
}

TEST_F(TrainCommand, JudgeDataIsMaskedUnlessSomeoneSaysNo) {
  std::string lines = records();
  for (size_t at = 0; (at = lines.find("{\"messages\"", at)) != std::string::npos; at += 40)
    lines.replace(at, 1, "{\"answer_a\": \"x\", \"answer_b\": \"y\", ");
  write(data_file("train"), lines);
  const auto loss_tokens = [&](const std::string& flag, const std::string& yaml) {
    const auto outcome = train("--iters 1 --num-layers -1 --val-batches 0 " + flag, yaml);
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return config().at("train_loss_tokens").get<int>();
  };
  const int masked = loss_tokens("", ""), whole = loss_tokens("--no-mask-prompt", "");
  EXPECT_LT(masked, whole);
  EXPECT_EQ(loss_tokens("", "mask_prompt: false\n"), whole);
  EXPECT_EQ(loss_tokens("--mask-prompt", "mask_prompt: false\n"), masked);
  EXPECT_EQ(loss_tokens("", "no_mask_prompt: false\n"), masked);
}

}  // namespace
}  // namespace gavel
