#include "generate/text.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/chat.h"

namespace gavel {
namespace {

using Clock = std::chrono::steady_clock;

struct Speeds {
  size_t prompt_tokens = 0, generated = 0;
  double prompt_seconds = 0.0, generate_seconds = 0.0;
  double prompt_rate() const {
    return prompt_seconds > 0 ? static_cast<double>(prompt_tokens) / prompt_seconds : 0.0;
  }
  // The first token comes with the prompt.
  double generate_rate() const {
    return generated > 1 && generate_seconds > 0
               ? static_cast<double>(generated - 1) / generate_seconds
               : 0.0;
  }
};

double between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

struct Generated {
  std::string text;
  Speeds speeds;
  FinishReason finish = FinishReason::none;
  std::vector<int> tokens;
};

Generated generate_one(const Session& session, const ModelLora* lora, std::vector<int> prompt,
                       const GenerateRequest& r,
                       const std::function<void(const std::string&)>& emit,
                       const std::function<bool()>& stopped = nullptr) {
  auto s = std::make_shared<Sequence>();
  s->prompt = std::move(prompt);
  s->options = r.options;
  s->options.eos_token_ids = session.loaded.eos_token_ids;
  TextStream stream(session.encoder.tokenizer, r.stops, emit);
  const auto start = Clock::now();
  auto first = start;
  s->on_token = [&](int token) {
    if (s->tokens.size() == 1) first = Clock::now();
    return stream.push(token) && !(stopped && stopped());
  };
  Engine engine(session.model);
  engine.add(std::vector<SequencePtr>{s}, lora);
  while (engine.step()) {
  }
  stream.finish();
  if (s->tokens.empty()) first = Clock::now();
  return {stream.text(),
          {s->prompt.size(), s->tokens.size(), between(start, first), between(first, Clock::now())},
          s->finish,
          s->tokens};
}

void report(const Speeds& s) {
  fmt::print(stderr,
             "Prompt: {} tokens, {:.1f} tokens/s. Generation: {} tokens, {:.1f} tokens/s.\n",
             s.prompt_tokens, s.prompt_rate(), s.generated, s.generate_rate());
}

void print_piece(const std::string& piece) {
  std::fwrite(piece.data(), 1, piece.size(), stdout);
  std::fflush(stdout);
}

std::vector<Message> first_messages(const GenerateRequest& r) {
  return r.system.empty() ? std::vector<Message>{} : std::vector<Message>{{"system", r.system}};
}

}  // namespace

void run_generate(const GenerateRequest& r) {
  std::string prompt = r.prompt;
  if (prompt == "-")
    prompt.assign(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  const auto session = open_session(r.model, make_backend(r.device), r.chat_template);
  const auto lora = load_lora(*session, r.adapter_path);
  std::vector<int> ids;
  if (r.raw || !session->encoder.chat_template) {
    ids = session->encoder.tokenizer.encode(prompt, true);
  } else {
    auto messages = first_messages(r);
    messages.push_back({"user", prompt});
    ids = encode_chat(session->encoder, messages, true);
  }
  const auto result = generate_one(*session, lora ? &*lora : nullptr, std::move(ids), r,
                                   r.json ? nullptr : print_piece);
  if (r.json) {
    const nlohmann::ordered_json j = {
        {"text", result.text},
        {"tokens", result.tokens},
        {"finish_reason", result.finish == FinishReason::length ? "length" : "stop"},
        {"prompt_tokens", result.speeds.prompt_tokens},
        {"generated_tokens", result.speeds.generated},
        {"prompt_tokens_per_second", result.speeds.prompt_rate()},
        {"generated_tokens_per_second", result.speeds.generate_rate()}};
    fmt::print("{}\n", j.dump());
  } else {
    fmt::print("\n");
  }
  report(result.speeds);
}

void run_chat(const GenerateRequest& r, const std::function<bool()>& interrupted) {
  const auto session = open_session(r.model, make_backend(r.device), r.chat_template);
  const auto lora = load_lora(*session, r.adapter_path);
  if (!session->encoder.chat_template)
    fail("{} has no chat template: use gavel generate --raw", r.model);
  auto messages = first_messages(r);
  const bool terminal = isatty(STDIN_FILENO) != 0;
  for (std::string line;;) {
    if (terminal) fmt::print(stderr, ">>> ");
    if (!std::getline(std::cin, line) || line.empty() || interrupted()) return;
    if (line == "/reset") {
      messages = first_messages(r);
      continue;
    }
    messages.push_back({"user", line});
    const auto result =
        generate_one(*session, lora ? &*lora : nullptr,
                     encode_chat(session->encoder, messages, true), r, print_piece, interrupted);
    fmt::print("\n");
    report(result.speeds);
    messages.push_back({"assistant", result.text});
  }
}

}  // namespace gavel
