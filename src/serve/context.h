// What the answers to all requests share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "http/events.h"
#include "http/server.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/scheduler.h"

namespace gavel {

struct ServeLimits {
  int64_t max_tokens = 2048;      // a request may ask for
  int64_t max_prompt_tokens = 0;  // 0: what the model takes
  int64_t max_pairs = 64;         // of one judging request
  int seconds = 600;              // from a request's arrival to its last token
};

struct ServeContext {
  const ServedModels& models;
  const ServeLimits& limits;
  Scheduler& scheduler;
  std::shared_ptr<const TokenTrie> vocabulary;  // for answers whose form is prescribed

  int64_t context_length() const { return models.session->model.config.max_position_embeddings; }
  // The longest prompt that leaves room for `tokens`. Not limited by 0: always a number.
  int64_t longest_prompt(int64_t tokens) const;
  Job::Clock::time_point deadline() const {
    return Job::Clock::now() + std::chrono::seconds(limits.seconds);
  }
};

// The last event of a stream.
inline constexpr const char* kSseDone = "data: [DONE]\n\n";

// Waits for a job without streaming: the client's leaving throws ApiError (499).
void wait_for(SubmittedJob& job, Client& client, const std::function<void(const Piece&)>& on_piece);

// "chatcmpl-" and 24 random characters.
std::string random_id(const std::string& prefix);
int64_t unix_time();

// The API.
Reply answer_chat(const ServeContext& context, const HttpRequest& request, Client& client);
Reply answer_completion(const ServeContext& context, const HttpRequest& request, Client& client);
Reply answer_judge(const ServeContext& context, const HttpRequest& request, Client& client);

}  // namespace gavel
