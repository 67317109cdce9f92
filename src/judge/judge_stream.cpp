#include "judge/judge_stream.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "judge/evaluate.h"
#include "judge/pairs.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(const std::optional<double>& p) {
  return p ? fmt::format(" ({:.0f}% sure)", 100 * *p) : "";
}

// The explanation, then a line a part.
std::string shown_ratings(const JudgedPair& judged, const std::vector<RatedPart>& parts,
                          bool for_a_person) {
  std::string out =
      (judged.first.problem.empty() ? judged.first.text : judged.first.problem) + "\n";
  std::vector<double> expected;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Rating& r = judged.ratings.at(i);
    expected.push_back(r.expected());
    out += fmt::format("\n{}: {}", parts[i].numbers ? parts[i].name : "Verdict",
                       r.value ? parts[i].text_of(*r.value) : "none");
    if (!r.value || r.probabilities.empty()) continue;
    const double sure = r.probabilities.at(static_cast<size_t>(*r.value - r.low));
    out += percent(sure);
    if (parts[i].numbers) out += fmt::format(", expected {:.2f}", r.expected());
  }
  if (parts.size() > 1)
    if (const double total = weighted_total(parts, expected); std::isfinite(total))
      out += fmt::format("\nweighted total: {:.2f}", total);
  if (for_a_person) out += ". Not sure enough: a person should decide";
  return out + "\n";
}

// The explanation of each order that was asked for, then the verdict in one line.
std::string shown(const JudgedPair& judged, bool for_a_person) {
  std::string out = judged.first.text + "\n";
  if (!judged.first.problem.empty()) out = judged.first.problem + "\n";
  if (judged.second && !judged.scores)
    out += fmt::format("\n--- with the answers exchanged (its A is the B above):\n{}\n",
                       judged.second->text);
  out += fmt::format("\nVerdict: {}{}", to_string(judged.verdict), percent(confidence(judged)));
  if (judged.second)
    out += judged.first.verdict == judged.second->verdict
               ? ", the same in both orders"
               : fmt::format("; {} in the given order, {} exchanged",
                             to_string(judged.first.verdict), to_string(judged.second->verdict));
  if (for_a_person) out += ". Not sure enough: a person should decide";
  return out + "\n";
}

}  // namespace

std::string judged_text(const JudgedPair& judged, const JudgeForm& form, bool for_a_person) {
  return judged.ratings.empty() ? shown(judged, for_a_person)
                                : shown_ratings(judged, rated_parts(form), for_a_person);
}

namespace {

class JudgeStream {
 public:
  JudgeStream(const JudgeRequest& request, const JudgeModel& model,
              const std::optional<Calibration>& calibration)
      : request_(request), model_(model), calibration_(calibration) {}

  void judge(std::span<const JudgePair> pairs) {
    const auto judged = judge_pairs(model_, pairs, request_.options);
    const auto parts = rated_parts(model_.prompt.form());
    for (size_t i = 0; i < pairs.size(); ++i) {
      const bool for_a_person = needs_a_person(calibration_, confidence(judged[i]));
      if (!request_.json) {
        fmt::print("{}{}", printed_++ > 0 ? "\n==========\n\n" : "",
                   judged_text(judged[i], model_.prompt.form(), for_a_person));
        continue;
      }
      Json line = judged[i].ratings.empty() ? judged_json(pairs[i], judged[i])
                                            : rated_json(pairs[i], judged[i], parts);
      if (calibration_ && calibration_->threshold) line["needs_a_person"] = for_a_person;
      fmt::print("{}\n", line.dump(-1, ' ', false, Json::error_handler_t::replace));
    }
    std::fflush(stdout);
  }

  // Waits for a record, then takes those that are there already, up to a batch.
  void read(PairFile file, const std::function<bool()>& stop) {
    while (!stop()) {
      const auto items = file.next(static_cast<size_t>(request_.max_batch));
      if (items.empty()) break;
      std::vector<JudgePair> pairs;
      for (const PairOrProblem& item : items) {
        ++records_;
        if (item.pair) {
          pairs.push_back(*item.pair);
        } else {
          ++bad_;
          fmt::print(stderr, "gavel: {}\n", item.problem);
        }
      }
      const std::string left_out = unread_fields(model_.prompt, pairs);
      if (!left_out.empty() && !std::exchange(told_, true)) spdlog::warn("{}", left_out);
      if (!pairs.empty()) judge(pairs);
    }
  }

  // Throws Error where some record was no pair.
  void finish(const std::string& name) const {
    if (bad_ > 0) fail("{} of {} records of {} could not be judged", bad_, records_, name);
  }

 private:
  const JudgeRequest& request_;
  const JudgeModel& model_;
  const std::optional<Calibration>& calibration_;
  int64_t printed_ = 0, records_ = 0, bad_ = 0;
  bool told_ = false;  // that the template leaves out what rows hold
};

}  // namespace

Json judged_json(const JudgePair& pair, const JudgedPair& judged) {
  Json j = Json::object();
  if (!pair.id.empty()) j["id"] = pair.id;
  j["verdict"] = to_string(judged.verdict);
  const auto sure = confidence(judged);
  j["confidence"] = sure ? Json(*sure) : Json();
  if (judged.probabilities)
    j["probabilities"] = {{"A", (*judged.probabilities)[0]},
                          {"B", (*judged.probabilities)[1]},
                          {"tie", (*judged.probabilities)[2]}};
  if (judged.scores) j["scores"] = {{"A", (*judged.scores)[0]}, {"B", (*judged.scores)[1]}};
  j["text"] = judged.first.text;
  j["verdict_ab"] = to_string(judged.first.verdict);
  if (judged.second) {
    j["verdict_ba"] = to_string(judged.second->verdict);
    j["text_ba"] = judged.second->text;
  }
  if (!judged.first.problem.empty()) j["problem"] = judged.first.problem;
  j["tokens"] = judged.first.tokens + (judged.second ? judged.second->tokens : 0);
  j["seconds"] = std::max(judged.first.seconds, judged.second ? judged.second->seconds : 0);
  return j;
}

Json verdict_json(const JudgedPair& judged, const std::vector<RatedPart>& parts) {
  const auto value_json = [](const RatedPart& part, const Rating& r) {
    if (!r.value) return Json();
    return part.numbers ? Json(*r.value) : Json(part.text_of(*r.value));
  };
  const auto probabilities_json = [](const RatedPart& part, const Rating& r) {
    Json out = Json::object();
    for (size_t k = 0; k < r.probabilities.size(); ++k) out[part.texts[k]] = r.probabilities[k];
    return r.probabilities.empty() ? Json() : out;
  };
  Json j = Json::object();
  if (parts.size() == 1 && parts[0].name != "score" && !parts[0].numbers) {
    j["verdict"] = judged.ratings[0].value ? value_json(parts[0], judged.ratings[0]) : Json("none");
    j["probabilities"] = probabilities_json(parts[0], judged.ratings[0]);
    return j;
  }
  std::vector<double> expected;
  Json scores = Json::object(), means = Json::object(), probabilities = Json::object();
  for (size_t i = 0; i < parts.size(); ++i) {
    const Rating& r = judged.ratings.at(i);
    expected.push_back(r.expected());
    scores[parts[i].name] = value_json(parts[i], r);
    means[parts[i].name] = r.probabilities.empty() ? Json() : Json(r.expected());
    probabilities[parts[i].name] = probabilities_json(parts[i], r);
  }
  const bool one = parts.size() == 1 && parts[0].name == "score";
  j[one ? "score" : "scores"] = one ? scores["score"] : scores;
  j["expected"] = one ? means["score"] : means;
  if (const double total = weighted_total(parts, expected); !one)
    j["total"] = std::isfinite(total) ? Json(total) : Json();
  j["probabilities"] = one ? probabilities["score"] : probabilities;
  return j;
}

Json rated_json(const JudgePair& answer, const JudgedPair& judged,
                const std::vector<RatedPart>& parts) {
  Json j = Json::object();
  if (!answer.id.empty()) j["id"] = answer.id;
  j.update(verdict_json(judged, parts));
  const auto sure = confidence(judged);
  j["confidence"] = sure ? Json(*sure) : Json();
  j["text"] = judged.first.text;
  if (!judged.first.problem.empty()) j["problem"] = judged.first.problem;
  j["tokens"] = judged.first.tokens;
  j["seconds"] = judged.first.seconds;
  return j;
}

namespace {

// The one row of the command line. Throws UsageError where the form needs another.
JudgePair row_of(const JudgeRequest& request, const JudgeTemplate& prompt) {
  const JudgeForm& form = prompt.form();
  if (form.of_pairs() && !request.has_b)
    throw UsageError("--answer-b is needed: the judge judges pairs");
  if (!form.of_pairs() && request.has_b)
    throw UsageError(fmt::format("--answer-b: the judge judges one answer (form {}), --answer-a",
                                 to_string(form.kind)));
  for (const auto& [name, value] :
       {std::pair("reference", &request.reference), std::pair("rubric", &request.rubric)})
    if (!value->empty() && !prompt.takes(name))
      throw UsageError(fmt::format(
          "--{0}: the judge's template does not use {{{0}}}, so it would not be read", name));
  JudgePair pair;
  pair.question =
      form.of_pairs() ? with_criterion(request.question, request.rubric) : request.question;
  pair.answer_a = request.answer_a;
  pair.answer_b = request.answer_b;
  pair.reference = request.reference;
  pair.single = !form.of_pairs();
  if (pair.single) pair.rubric = request.rubric;
  return pair;
}

}  // namespace

OpenedJudge open_judge(const std::string& model, const std::string& adapter_path,
                       const std::string& chat_template, const JudgeTemplate& prompt,
                       const DeviceOptions& device, int max_batch, JudgeOptions& options) {
  const auto session = open_session(model, make_backend(device), chat_template);
  std::shared_ptr<const ModelLora> lora;
  if (auto found = load_lora(*session, adapter_path))
    lora = std::make_shared<const ModelLora>(std::move(*found));
  std::optional<Calibration> calibration;
  if (!adapter_path.empty())
    calibration = load_calibration(adapter_path, options.mode, options.both_orders);
  if (calibration) options.map = calibration->map;
  return {session, lora, calibration,
          make_judge_model(session->model, lora.get(), session->encoder, prompt,
                           session->loaded.eos_token_ids, max_batch)};
}

void run_judge(JudgeRequest request, const std::function<bool()>& stop_requested) {
  const JudgeTemplate prompt = template_for(request.prompt_template, request.adapter_path, {});
  request.options = options_for(prompt.form(), request.options, request.mode_asked);
  if (request.input.empty()) row_of(request, prompt);
  const auto judge = open_judge(request.model, request.adapter_path, request.chat_template, prompt,
                                request.device, request.max_batch, request.options);
  JudgeStream stream(request, judge.model, judge.calibration);
  if (request.input.empty()) {
    const JudgePair pair = row_of(request, prompt);
    stream.judge(std::span(&pair, 1));
  } else if (request.input == "-") {
    stream.read({TextSource::standard_input(), false, prompt.form()}, stop_requested);
    stream.finish("standard input");
  } else {
    for (const auto& file :
         request.files.empty() ? std::vector<std::filesystem::path>{request.input} : request.files)
      stream.read({file, false, prompt.form()}, stop_requested);
    stream.finish(request.input);
  }
}

}  // namespace gavel
