#include "judge/best_of.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "data/conversation.h"
#include "data/raw_records.h"
#include "judge/evaluate.h"
#include "judge/judge_stream.h"
#include "judge/pair_sort.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostAnswers = 1000;
constexpr size_t kMaxRecordBytes = size_t{64} << 20;

JudgePair pair_of(const AnswerList& list, size_t a, size_t b) {
  JudgePair pair = list.row;
  pair.answer_a = list.answers[a];
  pair.answer_b = list.answers[b];
  return pair;
}

// Each answer once: neighbours two by two, the last one with the one before it.
std::vector<Ranking> by_scores(const JudgeModel& model, std::span<const AnswerList> lists,
                               const JudgeOptions& options) {
  std::vector<JudgePair> pairs;
  for (const AnswerList& list : lists)
    for (size_t i = 0; i < list.answers.size(); i += 2) {
      const size_t first = std::min(i, list.answers.size() - 2);
      pairs.push_back(pair_of(list, first, first + 1));
    }
  const auto judged = judge_pairs(model, pairs, options);
  std::vector<Ranking> rankings;
  size_t at = 0;
  for (const AnswerList& list : lists) {
    const size_t n = list.answers.size();
    Ranking r{.order = std::vector<size_t>(n), .scores = std::vector<double>(n)};
    r.judgements = static_cast<int64_t>(n);
    for (size_t i = 0; i < n; i += 2) {
      const size_t first = std::min(i, n - 2);
      const JudgedPair& j = judged[at++];
      if (!j.scores)
        fail("{}", j.first.problem.empty() ? "an answer has no score" : j.first.problem);
      r.scores[first] = (*j.scores)[0], r.scores[first + 1] = (*j.scores)[1];
    }
    std::iota(r.order.begin(), r.order.end(), size_t{0});
    std::stable_sort(r.order.begin(), r.order.end(),
                     [&](size_t a, size_t b) { return r.scores[a] > r.scores[b]; });
    rankings.push_back(std::move(r));
  }
  return rankings;
}

bool first_stands(const JudgedPair& judged) {
  if (judged.probabilities) return (*judged.probabilities)[0] >= (*judged.probabilities)[1];
  return judged.verdict != Verdict::b;
}

void print(const AnswerList& list, const Ranking& r, const BestRequest& request) {
  if (!request.json) {
    fmt::print("{}: answer {} of {}",
               list.row.id.empty() ? std::to_string(list.row.source_line) : list.row.id,
               r.order[0] + 1, list.answers.size());
    if (request.whole_order)
      for (size_t i = 1; i < r.order.size(); ++i)
        fmt::print("{} {}", i == 1 ? ", then" : ",", r.order[i] + 1);
    fmt::print(" ({} judgements{})\n", r.judgements,
               r.unreadable > 0 ? fmt::format(", {} unreadable", r.unreadable) : "");
    return;
  }
  Json line = Json::object();
  if (!list.row.id.empty()) line["id"] = list.row.id;
  line["best"] = r.order[0];
  if (request.whole_order) line["order"] = r.order;
  if (!r.scores.empty()) line["scores"] = r.scores;
  line["judgements"] = r.judgements;
  line["unreadable"] = r.unreadable;
  fmt::print("{}\n", line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

AnswerList answer_list(const Json& record, int64_t line) {
  AnswerList list;
  list.row.source_line = line;
  const auto text = [&](const char* name, bool needed) -> std::string {
    if (!record.contains(name) || record[name].is_null()) {
      if (needed) throw RecordFault{"missing field", fmt::format("\"{}\" is missing", name)};
      return "";
    }
    if (!record[name].is_string())
      throw RecordFault{"bad field", fmt::format("\"{}\" is no text", name)};
    return record[name].get<std::string>();
  };
  if (record.contains("question") && record["question"].is_array())
    list.row.question = as_text(conversation_of(record["question"], "user", false, "question"));
  else
    list.row.question = text("question", true);
  list.row.question = with_criterion(std::move(list.row.question), text("rubric", false));
  list.row.reference = text("reference", false);
  if (record.contains("id") && !record["id"].is_null())
    list.row.id = record["id"].is_string() ? record["id"].get<std::string>() : record["id"].dump();
  if (!record.contains("answers") || !record["answers"].is_array())
    throw RecordFault{"missing field", "\"answers\" is no list of texts"};
  for (const Json& answer : record["answers"]) {
    if (!answer.is_string()) throw RecordFault{"bad field", "\"answers\" holds what is no text"};
    list.answers.push_back(answer.get<std::string>());
  }
  if (list.answers.size() < 2 || list.answers.size() > kMostAnswers)
    throw RecordFault{"bad field", fmt::format("\"answers\" has {}, and 2 to {} are ranked",
                                               list.answers.size(), kMostAnswers)};
  return list;
}

std::vector<Ranking> rank_answers(const JudgeModel& model, std::span<const AnswerList> lists,
                                  const JudgeOptions& options, bool whole_order) {
  const JudgeForm form = model.prompt.form();
  if (!form.of_pairs())
    throw UsageError(fmt::format(
        "the best of several answers is found by pairs, and the template judges one answer (form "
        "{}): gavel judge gives each its own",
        to_string(form.kind)));
  if (form.kind == FormKind::rank) return by_scores(model, lists, options);
  std::vector<PairSort> sorts;
  for (const AnswerList& list : lists) sorts.emplace_back(list.answers.size(), !whole_order);
  std::vector<Ranking> rankings(lists.size());
  while (true) {
    std::vector<JudgePair> pairs;
    for (size_t i = 0; i < lists.size(); ++i)
      for (const auto& [a, b] : sorts[i].wanted()) pairs.push_back(pair_of(lists[i], a, b));
    if (pairs.empty()) break;
    const auto judged = judge_pairs(model, pairs, options);
    size_t at = 0;
    for (size_t i = 0; i < lists.size(); ++i) {
      std::vector<bool> told(sorts[i].wanted().size());
      for (size_t k = 0; k < told.size(); ++k, ++at) {
        told[k] = first_stands(judged[at]);
        rankings[i].unreadable += judged[at].verdict == Verdict::none;
      }
      rankings[i].judgements += static_cast<int64_t>(told.size());
      if (!told.empty()) sorts[i].tell(told);
    }
  }
  for (size_t i = 0; i < lists.size(); ++i) rankings[i].order = sorts[i].order();
  return rankings;
}

void run_best(BestRequest request, const std::function<bool()>& stop_requested) {
  const JudgeTemplate prompt = template_for(request.prompt_template, request.adapter_path, {});
  request.options = options_for(prompt.form(), request.options, request.mode_asked);
  const std::string name = request.input == "-" ? "standard input" : request.input;
  RecordReader reader = request.input == "-"
                            ? RecordReader(TextSource::standard_input(), kMaxRecordBytes)
                            : RecordReader(request.input, kMaxRecordBytes);
  const auto judge = open_judge(request.model, request.adapter_path, request.chat_template, prompt,
                                request.device, request.max_batch, request.options);
  int64_t records = 0, bad = 0;
  while (!stop_requested()) {
    const auto raw = reader.next(static_cast<size_t>(request.max_batch));
    if (raw.empty()) break;
    std::vector<AnswerList> lists;
    for (const RawRecord& record : raw) {
      ++records;
      try {
        lists.push_back(answer_list(reader.object(record), record.line));
      } catch (const RecordFault& fault) {
        ++bad;
        fmt::print(stderr, "gavel: {}:{}: {}: {}\n", name, record.line, fault.kind, fault.detail);
      }
    }
    const auto rankings = rank_answers(judge.model, lists, request.options, request.whole_order);
    for (size_t i = 0; i < lists.size(); ++i) print(lists[i], rankings[i], request);
    std::fflush(stdout);
  }
  if (bad > 0) fail("{} of {} records of {} could not be judged", bad, records, name);
}

}  // namespace gavel
