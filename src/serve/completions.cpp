// /v1/chat/completions and /v1/completions: answers and streams in OpenAI's shapes.
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/jsonl.h"
#include "serve/completion_request.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Tokens = std::vector<std::pair<int, TokenLogprobs>>;

// --- logprobs -----------------------------------------------------------------------------------

Json chat_logprobs(const Tokenizer& tokenizer, const Tokens& tokens) {
  const auto entry = [&](int id, double logprob) {
    const std::string bytes = tokenizer.token_bytes(id);
    Json list = Json::array();
    for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
    return Json{{"token", bytes}, {"logprob", logprob}, {"bytes", std::move(list)}};
  };
  Json content = Json::array();
  for (const auto& [id, logprobs] : tokens) {
    Json item = entry(id, logprobs.chosen);
    item["top_logprobs"] = Json::array();
    for (const auto& [other, value] : logprobs.top)
      item["top_logprobs"].push_back(entry(other, value));
    content.push_back(std::move(item));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

// A token's text; bytes that are no text by themselves as "bytes:\xe2\x80".
std::string token_text(const Tokenizer& tokenizer, int id) {
  const std::string bytes = tokenizer.token_bytes(id);
  if (!invalid_utf8_at(bytes)) return bytes;
  std::string text = "bytes:";
  for (const char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

// `offset`: characters (code points) of the text before; moved on.
Json completion_logprobs(const Tokenizer& tokenizer, const Tokens& tokens, int64_t& offset) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), offsets = Json::array();
  for (const auto& [id, logprobs] : tokens) {
    texts.push_back(token_text(tokenizer, id));
    const bool known = !std::isnan(logprobs.chosen);  // not of an echoed prompt's first
    values.push_back(known ? Json(logprobs.chosen) : Json());
    Json top = known ? Json::object() : Json();
    for (const auto& [other, value] : logprobs.top) top[token_text(tokenizer, other)] = value;
    tops.push_back(std::move(top));
    offsets.push_back(offset);
    offset += static_cast<int64_t>(unicode::count(tokenizer.token_bytes(id)));
  }
  return {{"tokens", texts},
          {"token_logprobs", values},
          {"top_logprobs", tops},
          {"text_offset", offsets}};
}

// --- answers ------------------------------------------------------------------------------------

// One completion on its way: the engine's thread decodes, the request's thread answers.
class Running {
 public:
  Running(const ServeContext& context, Completion completion)
      : c(std::move(completion)),
        tokenizer_(context.models.session->encoder.tokenizer),
        job_(std::make_shared<Job>()) {
    if (c.echo && c.options.top_logprobs >= 0) {
      job_->to_read = c.prompts;
      job_->read_top = c.options.top_logprobs;
    }
    for (size_t i = 0; i < count(); ++i) {
      Choice& choice = choices_.emplace_back();
      choice.text.emplace(tokenizer_, c.stops,
                          [&choice](const std::string& piece) { choice.ready += piece; });
      choice.sequence = std::make_shared<Sequence>();
      choice.sequence->prompt = prompt_of(i);
      choice.sequence->options = c.options;
      choice.sequence->options.sampling.seed += i % c.choices;
      choice.sequence->on_token = [this, i](int token) { return accept(i, token); };
      if (c.options.max_tokens > 0) job_->sequences.push_back(choice.sequence);
    }
    job_->together = c.choices;  // so that the prompt is read once
    job_->lora = c.model->adapter();
    job_->deadline = context.deadline();
    submitted.emplace(context.scheduler, job_);
  }

  // All prompts' choices.
  size_t count() const { return c.prompts.size() * c.choices; }
  const std::vector<int>& prompt_of(size_t i) const { return c.prompts[i / c.choices]; }

  // The prompt as a piece of a choice, once the job is done.
  Piece echoed(size_t i) const {
    Piece piece{i, tokenizer_.decode(prompt_of(i)), {}};
    if (job_->read.empty()) return piece;
    const auto& read = job_->read[i / c.choices];
    for (size_t t = 0; t < read.size(); ++t) piece.tokens.emplace_back(prompt_of(i)[t], read[t]);
    return piece;
  }

  // What is left of a choice once the job is done.
  Piece rest(size_t i) {
    if (!choices_[i].stopped) choices_[i].text->finish();
    return take(i);
  }

  const char* finish_reason(size_t i) const {
    const bool none = c.options.max_tokens == 0;
    return none || choices_[i].sequence->finish == FinishReason::length ? "length" : "stop";
  }

  Json usage() const {
    size_t generated = 0, read = 0;
    int64_t cached = 0;
    for (const Choice& choice : choices_) generated += choice.sequence->tokens.size();
    for (size_t p = 0; p < c.prompts.size(); ++p) {
      read += c.prompts[p].size();
      cached += choices_[p * c.choices].sequence->reused;
    }
    return {{"prompt_tokens", read},
            {"completion_tokens", generated},
            {"total_tokens", read + generated},
            {"prompt_tokens_details", {{"cached_tokens", cached}}}};
  }

  Json logprobs(size_t i, const Tokens& tokens) {
    if (c.options.top_logprobs < 0) return nullptr;
    return c.chat ? chat_logprobs(tokenizer_, tokens)
                  : completion_logprobs(tokenizer_, tokens, choices_[i].offset);
  }

  // The object around choices.
  Json envelope(bool chunk) const {
    return {{"id", c.id},
            {"object",
             c.chat ? chunk ? "chat.completion.chunk" : "chat.completion" : "text_completion"},
            {"created", c.created},
            {"model", c.model->name}};
  }

  const Completion c;

 private:
  struct Choice {
    std::optional<TextStream> text;
    std::string ready;  // text since the last piece, and its tokens
    Tokens fresh;
    bool stopped = false;
    int64_t offset = 0;
    SequencePtr sequence;
  };

  Piece take(size_t i) {
    return {i, std::exchange(choices_[i].ready, {}), std::exchange(choices_[i].fresh, {})};
  }

  bool accept(size_t i, int token) {
    Choice& choice = choices_[i];
    if (c.options.top_logprobs >= 0)
      choice.fresh.emplace_back(token, choice.sequence->logprobs.back());
    choice.stopped = !choice.text->push(token);
    if (!choice.ready.empty()) job_->push(take(i));
    return !choice.stopped;
  }

  const Tokenizer tokenizer_;
  std::deque<Choice> choices_;
  JobPtr job_;

 public:
  // The last member: it lets go of the engine before the others end.
  std::optional<SubmittedJob> submitted;
};

Json whole_answer(Running& running, Client& client) {
  std::vector<Piece> all(running.count());
  const auto take = [&](const Piece& piece) {
    Piece& one = all[piece.sequence];
    one.text += piece.text;
    one.tokens.insert(one.tokens.end(), piece.tokens.begin(), piece.tokens.end());
  };
  wait_for(*running.submitted, client, take);
  Json choices = Json::array();
  for (size_t i = 0; i < all.size(); ++i) {
    take(running.rest(i));
    if (running.c.echo) {
      Piece whole = running.echoed(i);
      whole.text += all[i].text;
      whole.tokens.insert(whole.tokens.end(), all[i].tokens.begin(), all[i].tokens.end());
      all[i] = std::move(whole);
    }
    Json choice = {{"index", i}};
    if (running.c.chat)
      choice["message"] = {{"role", "assistant"}, {"content", all[i].text}, {"refusal", nullptr}};
    else
      choice["text"] = all[i].text;
    choice["logprobs"] = running.logprobs(i, all[i].tokens);
    choice["finish_reason"] = running.finish_reason(i);
    choices.push_back(std::move(choice));
  }
  Json body = running.envelope(false);
  body["choices"] = std::move(choices);
  body["usage"] = running.usage();
  return body;
}

void stream_answer(Running& running, EventWriter& out) {
  const Completion& c = running.c;
  const auto send = [&](size_t index, Json delta, const std::string& text, Json logprobs,
                        Json finish) {
    Json choice = {{"index", index}};
    if (c.chat)
      choice["delta"] = std::move(delta);
    else
      choice["text"] = text;
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish);
    Json chunk = running.envelope(true);
    chunk["choices"] = Json::array({std::move(choice)});
    if (c.include_usage) chunk["usage"] = nullptr;
    out.send(sse(chunk));
  };
  const auto send_piece = [&](const Piece& piece) {
    if (piece.text.empty() && piece.tokens.empty()) return;
    send(piece.sequence, {{"content", piece.text}}, piece.text,
         running.logprobs(piece.sequence, piece.tokens), nullptr);
  };
  for (size_t i = 0; c.chat && i < running.count(); ++i)
    send(i, {{"role", "assistant"}, {"content", ""}}, "", nullptr, nullptr);
  running.submitted->wait(send_piece, [&] { out.tick(); });
  for (size_t i = 0; i < running.count(); ++i) {
    send_piece(running.rest(i));
    send(i, Json::object(), "", nullptr, running.finish_reason(i));
  }
  if (c.include_usage) {
    Json chunk = running.envelope(true);
    chunk["choices"] = Json::array();
    chunk["usage"] = running.usage();
    out.send(sse(chunk));
  }
  out.send(kSseDone);
}

Reply answer(const ServeContext& context, const HttpRequest& request, Client& client, bool chat) {
  auto running = std::make_shared<Running>(context, parse_completion(context, request.body, chat));
  Reply reply;
  if (running->c.stream)
    reply.stream = [running, &client](const Reply::Write& write) {
      run_stream(write, client, [&](EventWriter& out) { stream_answer(*running, out); });
    };
  else
    reply.body = dump(whole_answer(*running, client));
  return reply;
}

}  // namespace

Reply answer_chat(const ServeContext& context, const HttpRequest& request, Client& client) {
  return answer(context, request, client, true);
}

Reply answer_completion(const ServeContext& context, const HttpRequest& request, Client& client) {
  return answer(context, request, client, false);
}

}  // namespace gavel
