// The settings of a training run: mlx_lm.lora's flags, and a few more.
#include "train_options.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>

#include "base/error.h"
#include "data/dataset.h"
#include "data_sets.h"
#include "generate/session.h"
#include "judge/evaluate.h"
#include "judge/judge_trial.h"
#include "options.h"
#include "train/config_file.h"
#include "train/plan.h"
#include "train/tensorboard.h"

namespace gavel {
namespace {

constexpr const char* kOptimizer = "adamw";

void add_data_flags(CLI::App& c, TrainArguments& a) {
  c.add_option(
      "--model", a.run.model,
      "model: a directory (Hugging Face or MLX), a .gguf file, or org/name (needed, here or in "
      "--config)");
  c.add_flag("--train", a.train, "train (the default where --test is not given)");
  c.add_flag("--test", a.run.test, "measure the loss on test.jsonl after training");
  c.add_option("--data", a.run.data,
               "directory with train.jsonl, valid.jsonl, test.jsonl, or a data set of the hub, "
               "org/name[:config][@revision], of messages, prompts with completions, or text "
               "(needed, here or in --config)");
  a.split_asked = add_split_name_option(c, a.split_name, "train");
  c.add_option("--adapter-path", a.run.adapter_path, "directory of the run and its adapter")
      ->capture_default_str();
  add_chat_template_option(c, a.run.chat_template);
  c.add_option("-c,--config", a.config, "YAML file with any of these settings, as for mlx_lm");
  c.add_option("--resume-adapter-file", a.run.resume_adapter_file,
               "begin from this adapter's weights");
  c.add_flag("--resume", a.run.resume,
             "go on from the run's checkpoint, to the same numbers as if never stopped");
  c.add_option("--max-seq-length", a.run.dataset.max_seq_length,
               "longer examples are cut to it, in tokens")
      ->capture_default_str();
  c.add_flag("--mask-prompt", a.mask_prompt,
             "loss only on the answer (the default for judge data)");
  c.add_flag("--no-mask-prompt", a.no_mask_prompt, "loss on the prompt too");
  DatasetOptions& d = a.run.dataset;
  c.add_option("--prompt-feature", d.prompt_feature, "name of the prompt's field in the data")
      ->capture_default_str();
  c.add_option("--completion-feature", d.completion_feature, "of the completion's")
      ->capture_default_str();
  c.add_option("--chat-feature", d.chat_feature, "of the messages'")->capture_default_str();
  c.add_option("--text-feature", d.text_feature, "of the text's")->capture_default_str();
}

void add_loop_flags(CLI::App& c, TrainArguments& a) {
  TrainConfig& t = a.run.config;
  c.add_option("--iters", t.iters, "iterations (batches) to train")->capture_default_str();
  c.add_option("--epochs", a.run.epochs, "train for so many passes over the data instead");
  c.add_option("--batch-size", t.batch_size, "examples in a batch (of ranked pairs: answers)")
      ->capture_default_str();
  c.add_option("--grad-accumulation-steps", t.grad_accumulation_steps,
               "batches to an optimizer step")
      ->capture_default_str();
  c.add_option("--steps-per-report", t.steps_per_report, "iterations between loss lines")
      ->capture_default_str();
  c.add_option("--steps-per-eval", t.steps_per_eval, "iterations between validations")
      ->capture_default_str();
  c.add_option("--val-batches", t.val_batches, "validation batches; -1: all")
      ->capture_default_str();
  c.add_option("--test-batches", a.run.test_batches, "test batches; -1: all")
      ->capture_default_str();
  c.add_option("--save-every", t.save_every, "iterations between checkpoints")
      ->capture_default_str();
  c.add_option("--recompute", a.recompute,
               "what is computed again for the gradient instead of being kept: none, mlp (gate and "
               "up, the widest), layer (all but a layer's input), or auto: as little as fits")
      ->check(CLI::IsMember({"auto", "none", "mlp", "layer"}))
      ->capture_default_str();
  c.add_flag("--grad-checkpoint", a.grad_checkpoint, "--recompute layer");
  c.add_option("--grad-checkpoint-layers", a.checkpoint_layers,
               "with --recompute layer: keep the input of every so many layers")
      ->capture_default_str();
  c.add_option("--memory-limit", a.memory_limit,
               "memory that training may take, as in 24GB (default: what is free); what needs more "
               "is run in smaller parts, or with more computed again, or refused");
  c.add_option(
       "--micro-batch-tokens", t.micro_batch_tokens,
       "run a batch in parts of about so many tokens: same result, less memory; 0: 512 on the "
       "CPU, 16384 on an NVIDIA card, or less to fit the memory")
      ->capture_default_str();
  add_device_options(c, a.run.device);
  c.add_option(
       "--matmul", a.matmul,
       "products with frozen weights: usual (float32 on a CPU, bfloat16 on a GPU); int16 on "
       "a CPU (about 1.3 times as fast; inputs are rounded to 16 bits, and gradients move "
       "by up to 2e-3); fp8 on an H100 or H200 (both sides rounded to 8-bit floating "
       "point: 2 to 3% of a product)")
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(kMatmulNames), std::end(kMatmulNames))))
      ->capture_default_str();
  c.add_option("--batch-order", a.order, "by_length (as mlx_lm) or shuffled")
      ->check(CLI::IsMember({"by_length", "shuffled"}))
      ->capture_default_str();
  c.add_option("--early-stop-patience", t.early_stop_patience,
               "stop after so many validations without improvement; 0: never")
      ->capture_default_str();
  c.add_option(
       "--early-stop-metric", a.stop_metric,
       "what makes an adapter the best: val_loss, or how it judges the pairs of valid.jsonl: "
       "agreement or consistency")
      ->check(CLI::IsMember({"val_loss", "agreement", "consistency"}))
      ->capture_default_str();
  c.add_option("--early-stop-pairs", a.stop_pairs, "pairs judged for it at each validation; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  c.add_option("--judge-pairs", a.judge_pairs,
               "judge so many pairs of valid.jsonl at each validation, for the log and the page of "
               "gavel watch (default: none; with --watch 4, of judge data)")
      ->check(CLI::NonNegativeNumber);
  c.add_option("--report-to", a.report_to,
               "tensorboard: write event files to ADAPTER_PATH/tensorboard, too")
      ->check(CLI::Validator(
          [](const std::string& names) {
            try {
              reports_to_tensorboard(names);
            } catch (const Error& e) {
              return std::string(e.what());
            }
            return std::string();
          },
          ""));
  c.add_option("--seed", t.seed, "seed of the order of the data, of LoRA's start and of dropout")
      ->capture_default_str();
}

void add_optimizer_flags(CLI::App& c, TrainArguments& a) {
  TrainConfig& t = a.run.config;
  c.add_option("--optimizer", a.optimizer, "optimizer")
      ->transform(CLI::IsMember({"adamw", "adam", "sgd"}, CLI::ignore_case))
      ->capture_default_str();
  c.add_option("--learning-rate", t.schedule.learning_rate, "learning rate")->capture_default_str();
  c.add_option("--lr-schedule", a.schedule, "schedule of the learning rate")
      ->check(CLI::IsMember({"constant", "cosine", "linear", "cosine_decay", "linear_schedule"}))
      ->capture_default_str();
  c.add_option("--warmup", t.schedule.warmup, "optimizer steps of linear warm-up")
      ->capture_default_str();
  c.add_option("--warmup-init", t.schedule.warmup_init, "learning rate the warm-up begins at")
      ->capture_default_str();
  c.add_option("--min-lr", t.schedule.min_learning_rate, "learning rate the decay ends at")
      ->capture_default_str();
  c.add_option("--decay-steps", a.run.decay_steps,
               "optimizer steps of the decay (default: all that follow the warm-up)");
  c.add_option("--weight-decay", t.optimizer.weight_decay,
               "weight decay: decoupled (adamw) or added to the gradient (sgd)")
      ->capture_default_str();
  c.add_option("--beta1", t.optimizer.beta1, "decay of the first moment (adam, adamw)")
      ->capture_default_str();
  c.add_option("--beta2", t.optimizer.beta2, "decay of the second moment (adam, adamw)")
      ->capture_default_str();
  c.add_option("--eps", t.optimizer.eps, "added to the root of the second moment")
      ->capture_default_str();
  c.add_option("--momentum", t.optimizer.momentum, "of sgd")->capture_default_str();
  c.add_option("--bias-correction", t.optimizer.bias_correction,
               "of adam and adamw: true (the default) as in torch, false as in mlx_lm");
  c.add_option("--label-smoothing", t.label_smoothing,
               "of ranked pairs: this share of each outcome counts as a tie, 0 to 1")
      ->capture_default_str();
  c.add_option("--clip-grad-norm", t.clip_grad_norm, "scale larger gradients down to it; 0: off")
      ->capture_default_str();
}

void add_lora_flags(CLI::App& c, TrainArguments& a) {
  const LoraConfig defaults;
  LoraRequest& lora = a.run.lora;
  c.add_option("--num-layers", lora.num_layers, "the last so many layers; -1: all")
      ->default_str(fmt::to_string(defaults.num_layers));
  c.add_option("--lora-rank", lora.rank, "rank r")->default_str(fmt::to_string(defaults.rank));
  c.add_option("--lora-alpha", lora.alpha, "alpha: the update is scaled by alpha / r");
  c.add_option("--lora-scale", lora.scale, "the same scale given directly, as in mlx_lm")
      ->default_str(fmt::to_string(defaults.scale));
  c.add_option("--lora-dropout", lora.dropout, "dropout of the LoRA branches' input")
      ->capture_default_str();
  c.add_option(
       "--lora-targets", a.targets,
       "matrices to adapt, comma-separated: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, "
       "down_proj")
      ->delimiter(',')
      ->default_str("q_proj,v_proj");
  c.add_option("--lora-init", a.init, "start of A: kaiming or gaussian")
      ->check(CLI::IsMember({"kaiming", "gaussian"}))
      ->default_str("kaiming");
}

// What the command line says, before a file adds to it.
Settings command_line(const CLI::App& c) {
  Settings settings;
  for (const CLI::Option* option : c.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string& flag = option->get_lnames().front();
    if (const auto other = settings.add({flag, "", ""}))
      throw UsageError(
          fmt::format("--{} and --{} are the same setting: give one of them", other->flag, flag));
  }
  return settings;
}

// Gives options the values of the configuration file, where the command line did not.
void apply_config_file(CLI::App& c, TrainArguments& a, Settings& settings) {
  const auto optimizer =
      settings.has("optimizer") ? std::optional<std::string>(a.optimizer) : std::nullopt;
  const ConfigFile file = read_train_config(a.config, optimizer, kOptimizer);
  for (const std::string& note : file.notes) spdlog::warn(note);
  for (const auto& [name, setting] : file.settings.all()) {
    CLI::Option* option = c.get_option_no_throw("--" + setting.flag);
    if (option == nullptr || option == c.get_help_ptr())
      fail("{}: there is no setting {}", setting.where, setting.flag);
    if (settings.add(setting)) continue;
    try {
      option->add_result(setting.value);
      option->run_callback();
    } catch (const CLI::Error& e) {
      fail("{}: {}", setting.where, e.what());
    }
  }
}

std::vector<Projection> targets_of(const TrainArguments& a, const Setting& said) {
  try {
    return parse_targets(a.targets);
  } catch (const Error& e) {
    if (!said.where.empty()) fail("{}: {}", said.where, e.what());
    throw UsageError(fmt::format("--lora-targets: {}", e.what()));
  }
}

// What is judged at each validation.
void set_judge(TrainArguments& a) {
  constexpr int64_t kWatchedPairs = 4;
  TrainRun& r = a.run;
  r.metric_decides = a.stop_metric != "val_loss";
  const int64_t asked = a.judge_pairs.value_or(a.watch ? kWatchedPairs : 0);
  if (!r.metric_decides && asked == 0) return;
  if (r.config.val_batches == 0) {
    if (r.metric_decides || a.judge_pairs)
      throw UsageError(fmt::format("{} needs validation: --val-batches is 0",
                                   r.metric_decides ? "--early-stop-metric" : "--judge-pairs"));
    return;
  }
  r.judge_if_possible = !r.metric_decides && !a.judge_pairs;
  TrialRequest request;
  request.limit = r.metric_decides ? a.stop_pairs : asked;
  if (a.stop_metric == "consistency") request.metric = Metric::consistency;
  request.both_orders = !r.metric_decides;
  r.make_judge = [request, data = r.data](const LoadedModel& loaded, const Model& model,
                                          const TextEncoder& encoder) mutable {
    request.file = find_split(data, "valid").value().string();
    auto judge = make_judge_trial(model, encoder, template_for("", "", request.file),
                                  loaded.eos_token_ids, request);
    return [judge = std::move(judge)](const Adapter& adapter) {
      Trial trial = judge(adapter);
      return Judged{trial.metric, std::move(trial.entry)};
    };
  };
}

}  // namespace

void add_train_options(CLI::App& c, TrainArguments& a) {
  add_data_flags(c, a);
  add_loop_flags(c, a);
  add_optimizer_flags(c, a);
  add_lora_flags(c, a);
}

TrainRun& finish_train_options(CLI::App& c, TrainArguments& a) {
  Settings settings = command_line(c);
  if (!a.config.empty()) apply_config_file(c, a, settings);
  for (const auto& [name, said] : settings.all())
    if (const auto why = why_unused(said.flag, a.optimizer, a.schedule); !why.empty())
      spdlog::warn("{}{}--{} is not used: {}", said.where, said.where.empty() ? "" : ": ",
                   said.flag, why);
  TrainRun& r = a.run;
  if (r.model.empty()) throw UsageError("--model is needed");
  if (r.data.empty()) throw UsageError("--data is needed");
  r.data = training_folder(r.data, a.split_name, r.test, *a.split_asked);
  r.train = settings.has("train") ? a.train : !r.test;
  if (!r.train && !r.test) throw UsageError("there is nothing to do: neither --train nor --test");
  if (settings.has("mask-prompt"))
    r.dataset.mask_prompt = a.mask_prompt || (c.count("--no-mask-prompt") > 0 && !a.no_mask_prompt)
                                ? MaskPrompt::yes
                                : MaskPrompt::no;
  if (const auto it = settings.all().find("lora-targets"); it != settings.all().end())
    r.lora.targets = targets_of(a, it->second);
  set_judge(a);
  r.config.tensorboard = reports_to_tensorboard(a.report_to);
  if (a.init) r.lora.init = *a.init == "gaussian" ? LoraInit::gaussian : LoraInit::kaiming;
  r.config.optimizer.kind = parse_optimizer(a.optimizer);
  r.config.schedule.kind = parse_schedule(a.schedule);
  if (a.grad_checkpoint && a.recompute != "auto" && a.recompute != "layer")
    throw UsageError(
        fmt::format("--grad-checkpoint computes layers again, --recompute says {}", a.recompute));
  for (const Recompute kind : {Recompute::none, Recompute::mlp, Recompute::layer})
    if (a.recompute == to_string(kind)) r.config.recompute = kind;
  if (a.grad_checkpoint) r.config.recompute = Recompute::layer;
  if (!a.memory_limit.empty()) r.config.memory_limit = parse_memory(a.memory_limit);
  r.config.recompute_group = std::max(a.checkpoint_layers, 1);
  for (const Matmul kind : {Matmul::usual, Matmul::int16, Matmul::fp8})
    if (a.matmul == to_string(kind)) r.config.matmul = kind;
  r.config.order = a.order == "shuffled" ? BatchOrder::shuffled : BatchOrder::by_length;
  return r;
}

}  // namespace gavel
