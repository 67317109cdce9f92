// How fast a model reads prompts and generates, alone and many at a time:
//   generate_bench MODEL PROMPT_TOKENS BATCH NEW_TOKENS [PROMPT_TOKENS BATCH NEW_TOKENS ...]
// Prompts are random tokens that share no beginning. Each line is measured after a run that warms
// up; GAVEL_DEVICE chooses the device.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "base/random.h"
#include "generate/engine.h"
#include "generate/session.h"
#include "ops/startup.h"

namespace gavel {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void measure(const Model& model, int prompt, int batch, int tokens, bool shown) {
  std::vector<SequencePtr> sequences;
  Random random(static_cast<uint64_t>(prompt + batch));
  for (int i = 0; i < batch; ++i) {
    auto s = std::make_shared<Sequence>();
    for (int t = 0; t < prompt; ++t)
      s->prompt.push_back(static_cast<int>(random.uniform() * (model.config.vocab_size - 1)));
    s->options.max_tokens = tokens;
    sequences.push_back(std::move(s));
  }
  Engine engine(model);
  const double start = now();
  engine.add(sequences, nullptr);
  const auto reading = [&] {
    for (const auto& s : sequences)
      if (s->tokens.empty()) return true;
    return false;
  };
  while (reading()) engine.step();
  const double read = now();
  size_t before = 0;
  for (const auto& s : sequences) before += s->tokens.size();
  while (engine.step()) {
  }
  const double end = now();
  size_t written = 0;
  for (const auto& s : sequences) written += s->tokens.size();
  if (!shown) return;
  fmt::print("prompt {} x {}: {:.0f} tokens/s; generation of {}: {:.1f} tokens/s\n", batch, prompt,
             batch * prompt / (read - start), tokens,
             static_cast<double>(written - before) / (end - read));
  std::fflush(stdout);
}

}  // namespace
}  // namespace gavel

int main(int argc, char** argv) {
  using namespace gavel;
  if (argc < 5 || (argc - 2) % 3 != 0) {
    fmt::print(stderr, "usage: generate_bench MODEL PROMPT_TOKENS BATCH NEW_TOKENS ...\n");
    return 2;
  }
  try {
    start_up();
    const auto session = open_session(argv[1], make_backend({}), "");
    for (int i = 2; i + 2 < argc; i += 3) {
      const int prompt = std::atoi(argv[i]), batch = std::atoi(argv[i + 1]),
                tokens = std::atoi(argv[i + 2]);
      measure(session->model, prompt, batch, std::min(tokens, 8), false);
      measure(session->model, prompt, batch, tokens, true);
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "generate_bench: {}\n", e.what());
    return 1;
  }
}
