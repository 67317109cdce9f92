// POST /v1/judge: pairs, or single answers where the judge's template is of such a form, judged by
// the judge layer, whose model is this server's scheduler.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/conversation.h"
#include "data/pair_row.h"
#include "judge/judge_stream.h"
#include "serve/context.h"
#include "serve/fields.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

struct JudgeCall {
  const ServedModel* model = nullptr;
  std::vector<JudgePair> pairs;
  bool batch = false, stream = false;
  std::optional<Calibration> calibration;
  JudgeOptions options;
  Job::Clock::time_point deadline;
};

// What belongs to rows of the other kind is refused, so that nothing is left out silently.
void refuse_others(const Fields& fields, const JudgeForm& form,
                   std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (fields.value(name) != nullptr)
      bad_request(name, "The judge's form is {}, which takes {}: leave out '{}'",
                  to_string(form.kind),
                  form.of_pairs() ? "'answer_a' and 'answer_b' (in a list 'pairs')"
                                  : "'answer' (in a list 'answers')",
                  name);
}

// A text, or a conversation: a list of messages.
Conversation turns_of(const Fields& fields, const char* name, const char* role) {
  const Json* value = fields.value(name);
  if (value == nullptr) bad_request(fields.path(name), "'{}' is missing", fields.path(name));
  if (value->is_string()) return {{role, value->get<std::string>()}};
  if (!value->is_array())
    bad_request(fields.path(name), "'{}' must be a string or a list of messages, not {} {}",
                fields.path(name), value->is_object() ? "an" : "a", value->type_name());
  try {
    return conversation_of(*value, role, false, fields.path(name));
  } catch (const RecordFault& fault) {
    bad_request(fields.path(name), "{}: {}", fault.kind, fault.detail);
  }
}

JudgePair parse_row(const Fields& fields, const JudgeTemplate& prompt) {
  const JudgeForm& form = prompt.form();
  JudgePair pair;
  pair.reference = fields.text("reference").value_or("");
  pair.rubric = fields.text("rubric").value_or("");
  for (const char* name : {"reference", "rubric"})
    if (!fields.text(name).value_or("").empty() && !prompt.takes(name))
      bad_request(fields.path(name), "The judge's template does not use {{{}}}: leave out '{}'",
                  name, fields.path(name));
  Conversation question = turns_of(fields, "question", "user");
  pair.single = !form.of_pairs();
  if (pair.single) {
    refuse_others(fields, form, {"answer_a", "answer_b"});
    Conversation answer = turns_of(fields, "answer", "assistant");
    split_conversation(question, answer);
    if (answer.empty())
      bad_request(fields.path("answer"), "'{}' must end with a message of the assistant's",
                  fields.path("answer"));
    pair.question = as_text(question);
    pair.answer_a = as_text(answer);
  } else {
    refuse_others(fields, form, {"answer"});
    TwoAnswers texts = compare(question, turns_of(fields, "answer_a", "assistant"),
                               turns_of(fields, "answer_b", "assistant"), 0);
    pair.question = with_criterion(std::move(texts.question), std::exchange(pair.rubric, {}));
    pair.answer_a = std::move(texts.answer_a);
    pair.answer_b = std::move(texts.answer_b);
  }
  pair.id = fields.text("id").value_or("");
  return pair;
}

// "pairs", or "answers".
void parse_list(const ServeContext& context, const Json& list, const Fields& fields,
                JudgeCall& call) {
  const JudgeForm& form = call.model->prompt.form();
  const char* name = form.of_pairs() ? "pairs" : "answers";
  if (call.stream)
    bad_request("stream", "'stream' goes with one {}, not with '{}'",
                form.of_pairs() ? "pair" : "answer", name);
  for (const char* text : {"question", "answer_a", "answer_b", "answer", "reference", "rubric"})
    if (fields.value(text) != nullptr)
      bad_request(text, "'{}' stands beside '{}': give one or the other", text, name);
  if (!list.is_array() || list.empty() ||
      static_cast<int64_t>(list.size()) > context.limits.max_pairs)
    bad_request(name, "'{}' must be a list of 1 to {} {}", name, context.limits.max_pairs, name);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string where = fmt::format("{}[{}]", name, i);
    if (!list[i].is_object()) bad_request(where, "'{}' must be an object", where);
    call.pairs.push_back(parse_row(Fields(list[i], where + "."), call.model->prompt));
  }
}

JudgeCall parse(const ServeContext& context, const std::string& text) {
  const Json body = parse_body(text);
  const Fields fields(body);
  JudgeCall call;
  call.deadline = context.deadline();
  call.model = &context.models.find(fields.text("model"));
  if (!context.models.session->encoder.chat_template)
    bad_request("model", "The model has no chat template, which judging needs");
  const bool mode_asked = fields.text("mode").has_value();
  const std::string mode = fields.text("mode").value_or("reason");
  if (mode != "reason" && mode != "verdict")
    bad_request("mode", "'mode' must be reason or verdict");
  call.options.mode = mode == "verdict" ? JudgeMode::verdict : JudgeMode::reason;
  call.options.both_orders = fields.boolean("both_orders").value_or(false);
  call.options.second_order = call.options.both_orders;
  const JudgeForm& form = call.model->prompt.form();
  try {
    call.options = options_for(form, call.options, mode_asked);
  } catch (const UsageError& e) {
    bad_request(form.of_pairs() ? "mode" : "both_orders", "{}", e.what());
  }
  call.calibration = call.model->calibration(call.options.mode, call.options.both_orders);
  if (call.calibration) call.options.map = call.calibration->map;
  const int64_t most = std::min(context.limits.max_tokens, context.context_length() - 1);
  call.options.max_tokens = static_cast<int>(
      fields.integer("max_tokens", 1, most).value_or(std::min<int64_t>(512, most)));
  call.stream = fields.boolean("stream").value_or(false);
  refuse_others(fields, form, {form.of_pairs() ? "answers" : "pairs"});
  const Json* list = fields.value(form.of_pairs() ? "pairs" : "answers");
  call.batch = list != nullptr;
  if (call.batch)
    parse_list(context, *list, fields, call);
  else
    call.pairs.push_back(parse_row(fields, call.model->prompt));
  return call;
}

// --- the judge's model --------------------------------------------------------------------------

using OnText = std::function<void(size_t prompt, const std::string& text)>;

// Greedy responses through the scheduler, as JudgeModel::write gives them.
class Writing {
 public:
  Writing(const ServeContext& context, const JudgeCall& call, std::vector<std::vector<int>> prompts,
          int max_tokens, const JudgeModel::GoOn& go_on)
      : start_(Job::Clock::now()), job_(std::make_shared<Job>()), ends_(prompts.size(), start_) {
    job_->lora = call.model->adapter();
    job_->deadline = call.deadline;
    for (size_t i = 0; i < prompts.size(); ++i) {
      auto s = std::make_shared<Sequence>();
      s->prompt = std::move(prompts[i]);
      s->options.max_tokens = max_tokens;
      s->options.eos_token_ids = context.models.session->loaded.eos_token_ids;
      s->options.top_logprobs = kJudgeTopTokens;
      texts_.emplace_back(context.models.session->encoder.tokenizer, std::vector<std::string>{},
                          [this, i](const std::string& piece) {
                            job_->push({i, piece, {}});
                          });
      s->on_token = [this, &go_on, i](int token) {
        ends_[i] = Job::Clock::now();
        texts_[i].push(token);
        return go_on(i, token);
      };
      job_->sequences.push_back(std::move(s));
    }
    submitted_.emplace(context.scheduler, job_);
  }

  std::vector<Written> wait(const OnText& on_text, const std::function<void()>& tick) {
    submitted_->wait(
        [&](const Piece& piece) {
          if (on_text) on_text(piece.sequence, piece.text);
        },
        tick);
    std::vector<Written> written;
    for (size_t i = 0; i < ends_.size(); ++i) {
      Sequence& s = *job_->sequences[i];
      written.push_back({std::move(s.tokens), std::move(s.logprobs),
                         std::chrono::duration<double>(ends_[i] - start_).count()});
    }
    return written;
  }

 private:
  const Job::Clock::time_point start_;
  JobPtr job_;
  std::vector<Job::Clock::time_point> ends_;
  std::vector<TextStream> texts_;
  std::optional<SubmittedJob> submitted_;  // last: lets go of the engine before the others end
};

JudgeModel served_judge(const ServeContext& context, const JudgeCall& call, const OnText& on_text,
                        const std::function<void()>& tick) {
  JudgeModel judge{context.models.session->encoder, call.model->prompt, 0, {}, {}};
  const bool writes = call.options.mode == JudgeMode::reason;
  judge.max_prompt_tokens =
      std::max<int64_t>(context.longest_prompt(writes ? call.options.max_tokens : 16), 1);
  judge.write = [&, on_text, tick](std::vector<std::vector<int>> prompts, int max_tokens,
                                   const JudgeModel::GoOn& go_on) {
    Writing writing(context, call, std::move(prompts), max_tokens, go_on);
    return writing.wait(on_text, tick);
  };
  judge.score = [&, tick](std::span<const ScoreRequest> requests) {
    auto job = std::make_shared<Job>();
    job->scores.assign(requests.begin(), requests.end());
    job->lora = call.model->adapter();
    job->deadline = call.deadline;
    SubmittedJob submitted(context.scheduler, job);
    submitted.wait([](const Piece&) {}, tick);
    return job->scored;
  };
  return judge;
}

// --- answers ------------------------------------------------------------------------------------

Json probabilities_json(const std::optional<Probabilities>& p) {
  if (!p) return nullptr;
  return {{"A", (*p)[0]}, {"B", (*p)[1]}, {"tie", (*p)[2]}};
}

Json order_json(const char* order, const OrderResult& result) {
  Json json = {{"order", order},
               {"verdict", to_string(result.verdict)},
               {"probabilities", probabilities_json(result.probabilities)},
               {"explanation", result.text},
               {"tokens", result.tokens}};
  if (!result.problem.empty()) json["problem"] = result.problem;
  return json;
}

Json judgement_json(const JudgePair& pair, const JudgedPair& judged, const JudgeCall& call) {
  const JudgeForm& form = call.model->prompt.form();
  Json json = Json::object();
  if (!pair.id.empty()) json["id"] = pair.id;
  if (call.calibration && call.calibration->threshold)
    json["needs_a_person"] = needs_a_person(call.calibration, confidence(judged));
  if (!form.of_pairs()) {
    json["form"] = to_string(form.kind);
    json.update(verdict_json(judged, rated_parts(form)));
    const auto sure = confidence(judged);
    json["confidence"] = sure ? Json(*sure) : Json();
    json["explanation"] = judged.first.text;
    json["tokens"] = judged.first.tokens;
    if (!judged.first.problem.empty()) json["problem"] = judged.first.problem;
    return json;
  }
  json["verdict"] = to_string(judged.verdict);
  const auto sure = confidence(judged);
  json["confidence"] = sure ? Json(*sure) : Json();
  json["probabilities"] = probabilities_json(judged.probabilities);
  if (judged.scores) json["scores"] = {{"A", (*judged.scores)[0]}, {"B", (*judged.scores)[1]}};
  json["explanation"] = judged.first.text;
  json["orders"] = Json::array({order_json("ab", judged.first)});
  if (judged.second) json["orders"].push_back(order_json("ba", *judged.second));
  return json;
}

Json envelope(const JudgeCall& call) {
  return {{"object", call.batch ? "list" : "judgement"},
          {"created", unix_time()},
          {"model", call.model->name},
          {"mode", mode_name(call.options.mode)},
          {"both_orders", call.options.both_orders},
          {"calibrated", call.calibration.has_value()}};
}

// Judges all pairs and gives the whole answer.
Json judge(const ServeContext& context, const JudgeCall& call, const OnText& on_text,
           const std::function<void()>& tick) {
  const auto judged =
      judge_pairs(served_judge(context, call, on_text, tick), call.pairs, call.options);
  const JudgeForm& form = call.model->prompt.form();
  Json body = envelope(call);
  if (call.batch) {
    body["data"] = Json::array();
    for (size_t i = 0; i < judged.size(); ++i)
      body["data"].push_back(judgement_json(call.pairs[i], judged[i], call));
    return body;
  }
  const auto& only = judged.front();
  for (const OrderResult* order : {&only.first, only.second ? &*only.second : nullptr})
    if (order != nullptr && !order->problem.empty())
      throw ApiError(400, "invalid_request_error",
                     fmt::format("The {} cannot be judged: {}", form.of_pairs() ? "pair" : "answer",
                                 order->problem),
                     "question", "context_length_exceeded");
  body.update(judgement_json(call.pairs.front(), only, call));
  return body;
}

}  // namespace

Reply answer_judge(const ServeContext& context, const HttpRequest& request, Client& client) {
  auto call = std::make_shared<const JudgeCall>(parse(context, request.body));
  Reply reply;
  if (!call->stream) {
    const auto tick = [&] {
      if (client.gone()) throw ApiError(499, "cancelled", "The client has gone.");
    };
    reply.body = dump(judge(context, *call, nullptr, tick));
    return reply;
  }
  context.scheduler.check_room();  // while there still is a status to say so
  reply.stream = [&context, call, &client](const Reply::Write& write) {
    run_stream(write, client, [&](EventWriter& out) {
      const auto on_text = [&](size_t prompt, const std::string& text) {
        Json delta = {{"object", "judgement.delta"}};
        if (call->model->prompt.form().of_pairs()) delta["order"] = prompt == 0 ? "ab" : "ba";
        delta["text"] = text;
        out.send(sse(delta));
      };
      out.send(sse(judge(context, *call, on_text, [&] { out.tick(); })));
      out.send(kSseDone);
    });
  };
  return reply;
}

}  // namespace gavel
