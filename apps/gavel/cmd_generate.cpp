// gavel generate and gavel chat.
#include <memory>

#include "base/interrupt.h"
#include "commands.h"
#include "generate/text.h"
#include "options.h"

namespace gavel {
namespace {

void add_generation_flags(CLI::App& c, GenerateRequest& r) {
  add_model_option(c, r.model);
  c.add_option("--adapter-path", r.adapter_path, "adapter directory (mlx_lm's or PEFT's)");
  add_chat_template_option(c, r.chat_template);
  c.add_option("--system", r.system, "system message");
  c.add_option("-m,--max-tokens", r.options.max_tokens, "most tokens to generate")
      ->capture_default_str();
  auto& s = r.options.sampling;
  c.add_option("--temp", s.temperature, "temperature; 0: the most likely token each time")
      ->capture_default_str();
  c.add_option("--top-p", s.top_p,
               "sample from the smallest set of tokens with this probability; 1: off")
      ->capture_default_str();
  c.add_option("--top-k", s.top_k, "sample from the k most likely; 0: off")->capture_default_str();
  c.add_option("--min-p", s.min_p, "least probability relative to the most likely token; 0: off")
      ->capture_default_str();
  c.add_option("--repetition-penalty", s.repetition_penalty,
               "make tokens that came lately less likely; 1: off")
      ->capture_default_str();
  c.add_option("--repetition-context", s.repetition_context,
               "tokens that the penalty looks back at")
      ->capture_default_str();
  c.add_option("--seed", s.seed, "seed of the sampling")->capture_default_str();
  c.add_option("--stop", r.stops, "end before this text (may be given several times)");
  add_inference_options(c, r.device);
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto* c = app.add_subcommand("generate", "generate text from a prompt");
  auto r = std::make_shared<GenerateRequest>();
  add_generation_flags(*c, *r);
  c->add_option("-p,--prompt", r->prompt, "the prompt; - reads it from standard input")->required();
  c->add_flag("--raw", r->raw, "give the prompt as it is, without the chat template");
  add_json_flag(*c, r->json, "one JSON object: text, tokens, speeds");
  c->footer(
      "Examples:\n"
      "  gavel generate --model models/SmolLM2-135M-Instruct.Q4_1.gguf --prompt 'Name a colour.'\n"
      "  gavel generate --model M --adapter-path judge --prompt - --json < question.txt");
  c->callback([r] { run_generate(*r); });
}

void add_chat_command(CLI::App& app) {
  auto* c = app.add_subcommand("chat", "talk with a model, turn by turn");
  auto r = std::make_shared<GenerateRequest>();
  add_generation_flags(*c, *r);
  c->footer(
      "Type a message and Enter; an empty line or Ctrl-D ends, /reset begins anew.\n"
      "Example:\n"
      "  gavel chat --model models/SmolLM2-135M-Instruct.Q4_1.gguf --temp 0.7 --top-p 0.9");
  c->callback([r] { run_chat(*r, interrupted); });
}

}  // namespace gavel
