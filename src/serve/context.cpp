#include "serve/context.h"

#include <algorithm>
#include <ctime>
#include <random>

namespace gavel {

int64_t ServeContext::longest_prompt(int64_t tokens) const {
  const int64_t room = std::max<int64_t>(context_length() - tokens, 0);
  return limits.max_prompt_tokens > 0 ? std::min(room, limits.max_prompt_tokens) : room;
}

void wait_for(SubmittedJob& job, Client& client,
              const std::function<void(const Piece&)>& on_piece) {
  job.wait(on_piece, [&] {
    if (client.gone()) throw_gone();
  });
}

std::string random_id(const std::string& prefix) {
  static constexpr char kLetters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id = prefix + "-";
  for (int i = 0; i < 24; ++i) id += kLetters[random() % (sizeof kLetters - 1)];
  return id;
}

int64_t unix_time() { return static_cast<int64_t>(std::time(nullptr)); }

}  // namespace gavel
