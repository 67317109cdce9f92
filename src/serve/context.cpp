#include "serve/context.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>

namespace gavel {
namespace {

constexpr auto kSilence = std::chrono::seconds(10);  // then a comment shows that all is well

[[noreturn]] void throw_gone() { throw ApiError(499, "cancelled", "The client has gone."); }

}  // namespace

int64_t ServeContext::longest_prompt(int64_t tokens) const {
  const int64_t room = std::max<int64_t>(context_length() - tokens, 0);
  return limits.max_prompt_tokens > 0 ? std::min(room, limits.max_prompt_tokens) : room;
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string sse(const nlohmann::ordered_json& data) { return "data: " + dump(data) + "\n\n"; }

void wait_for(SubmittedJob& job, Client& client,
              const std::function<void(const Piece&)>& on_piece) {
  job.wait(on_piece, [&] {
    if (client.gone()) throw_gone();
  });
}

EventWriter::EventWriter(const Reply::Write& write, Client& client)
    : write_(write), client_(client), last_(Job::Clock::now()) {}

void EventWriter::send(const std::string& event) {
  if (!write_(event)) throw_gone();
  last_ = Job::Clock::now();
}

void EventWriter::tick() {
  if (client_.gone()) throw_gone();
  if (Job::Clock::now() - last_ > kSilence) send(": waiting\n\n");
}

void run_stream(const Reply::Write& write, Client& client,
                const std::function<void(EventWriter&)>& body) {
  EventWriter writer(write, client);
  try {
    body(writer);
  } catch (const ApiError& e) {
    if (e.status != 499) write("data: " + error_body(e) + "\n\n");
  } catch (const std::exception& e) {
    write("data: " + error_body(ApiError(500, "server_error", e.what())) + "\n\n");
  }
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
