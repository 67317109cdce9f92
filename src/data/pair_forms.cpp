#include "data/pair_forms.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/conversation.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

// The first entry whose fields are all there counts, so the more particular forms come first.
const std::vector<PairForm> kForms = {
    {"judgelm", "JudgeLM-100K", "question_body, answer1_body", Outcome::said,
     "question=question_body, answer_a=answer1_body, answer_b=answer2_body, label=, scores=score, "
     "reason=text, id=question_id"},
    {"alpaca-eval", "AlpacaEval's annotations", "instruction, output_1, output_2, preference",
     Outcome::one_two,
     "question=instruction, answer_a=output_1, answer_b=output_2, label=preference, "
     "category=dataset",
     "model_a=generator_1, model_b=generator_2, annotator=annotator"},
    {"llmbar", "LLMBar", "input, output_1, output_2, label", Outcome::one_two,
     "question=input, answer_a=output_1, answer_b=output_2, label=label"},
    {"arena-conversations", "Chatbot Arena (33k, 100k, 140k), MT-bench's human judgments",
     "conversation_a, conversation_b, winner", Outcome::said,
     "question=, answer_a=conversation_a, answer_b=conversation_b, label=winner, "
     "id=question_id|id, turn=turn",
     "model_a=model_a, model_b=model_b, annotator=judge|judge_hash, "
     "session=evaluation_session_id, order=evaluation_order, language=language, turn=turn, "
     "is_code=is_code, is_refusal=is_refusal, math=category_tag.math_v0.1.math, "
     "instruction_following=category_tag.if_v0.1.if, "
     "creative_writing=category_tag.creative_writing_v0.1.creative_writing",
     "", true},
    {"arena-columns", "Chatbot Arena (55k)", "response_a, response_b, winner_model_a",
     Outcome::columns,
     "question=prompt, answer_a=response_a, answer_b=response_b, wins_a=winner_model_a, "
     "wins_b=winner_model_b, wins_tie=winner_tie, id=id",
     "model_a=model_a, model_b=model_b", "", true},
    {"arena-responses", "Chatbot Arena's responses with the winner's name",
     "prompt, response_a, response_b", Outcome::said,
     "question=prompt, answer_a=response_a, answer_b=response_b, "
     "label=winner|preferred|preference|label, id=id",
     "model_a=model_a, model_b=model_b, annotator=annotator|judge, language=language", "", true},
    {"helpsteer3", "HelpSteer3's preferences", "context, response1, response2, overall_preference",
     Outcome::sign,
     "question=context, answer_a=response1, answer_b=response2, label=overall_preference, "
     "category=domain",
     "language=language"},
    {"helpsteer2", "HelpSteer2's preferences", "response_1, response_2, preference_strength",
     Outcome::sign,
     "question=prompt, answer_a=response_1, answer_b=response_2, label=preference_strength, "
     "reason=preference_elaboration|preference_statement"},
    {"shp", "Stanford Human Preferences", "history, human_ref_A, human_ref_B, labels",
     Outcome::one_is_first,
     "question=history, answer_a=human_ref_A, answer_b=human_ref_B, label=labels, id=post_id, "
     "category=domain",
     "score_a=score_A, score_b=score_B, strength=score_ratio"},
    {"pku-saferlhf", "PKU-SafeRLHF", "response_0, response_1, better_response_id",
     Outcome::zero_one, "question=prompt, answer_a=response_0, answer_b=response_1, label=",
     "safe_a=is_response_0_safe, safe_b=is_response_1_safe, model_a=response_0_source, "
     "model_b=response_1_source, severity_a=response_0_severity_level, "
     "severity_b=response_1_severity_level, source=prompt_source",
     "better_response_id, safer_response_id"},
    {"webgpt", "WebGPT's comparisons", "question.full_text, answer_0, answer_1, score_0, score_1",
     Outcome::said,
     "question=question.full_text, answer_a=answer_0, answer_b=answer_1, label=, "
     "score_a=score_0, score_b=score_1, id=question.id, category=question.dataset",
     "score_a=score_0, score_b=score_1"},
    {"summaries", "OpenAI's summaries with human feedback",
     "info, summaries.0.text, summaries.1.text, choice", Outcome::zero_one,
     "question=info.post|info.article, answer_a=summaries.0.text, answer_b=summaries.1.text, "
     "label=choice, id=info.id, category=info.subreddit|info.site",
     "model_a=summaries.0.policy, model_b=summaries.1.policy, annotator=worker, "
     "strength=extra.confidence"},
    {"prometheus-preference", "Prometheus' preference collection",
     "orig_instruction, orig_response_A, orig_response_B, orig_preference", Outcome::said,
     "question=orig_instruction, answer_a=orig_response_A, answer_b=orig_response_B, "
     "label=orig_preference, rubric=orig_criteria, reason=orig_feedback, "
     "reference=orig_reference_answer",
     "score_a=orig_score_A, score_b=orig_score_B, rubric=orig_criteria"},
    {"judgebench", "JudgeBench", "question, response_A, response_B, label", Outcome::said,
     "question=question, answer_a=response_A, answer_b=response_B, label=label, id=pair_id, "
     "category=source",
     "model=response_model"},
    {"auto-j", "Auto-J's test set", "prompt, response 1, response 2, label", Outcome::zero_one,
     "question=prompt, answer_a=response 1, answer_b=response 2, label=label, category=scenario"},
    {"nectar", "Nectar, and other lists of ranked answers", "prompt, answers.0.rank",
     Outcome::ranked,
     "question=prompt, answers=answers, answer=answer|response|text, rank=rank, model=model, "
     "category=source"},
    {"ultrafeedback", "UltraFeedback", "instruction, completions.0.response", Outcome::ranked,
     "question=instruction, answers=completions, answer=response, "
     "score=overall_score|fine-grained_score, "
     "model=model, category=source, reason=critique",
     "", "", false, "annotations.*.Rating"},
    {"rewardbench2", "RewardBench 2", "prompt, chosen:texts, rejected:texts, subset",
     Outcome::better_each,
     "question=prompt, chosen=chosen, rejected=rejected, id=id, category=subset"},
    {"rm-bench", "RM-Bench", "prompt, chosen:texts, rejected:texts", Outcome::better_each,
     "question=prompt, chosen=chosen, rejected=rejected, id=id, category=domain"},
    {"rewardbench", "RewardBench", "prompt, chosen, rejected, subset, chosen_model",
     Outcome::better, "question=prompt, chosen=chosen, rejected=rejected, id=id, category=subset",
     "model_a=chosen_model, model_b=rejected_model"},
    {"hh-rlhf", "Anthropic's HH", "chosen:dialogue, rejected:dialogue", Outcome::better,
     "question=, chosen=chosen, rejected=rejected"},
    {"preference", "a better and a worse answer (TRL, UltraFeedback binarized, Skywork, Orca DPO)",
     "chosen, rejected", Outcome::better,
     "question=prompt|question|instruction|input, system=system, chosen=chosen, "
     "rejected=rejected, score_a=score_chosen, score_b=score_rejected, id=prompt_id|id, "
     "category=source",
     "model_a=chosen_model, model_b=rejected_model, score_a=score_chosen, "
     "score_b=score_rejected"},
    {"helpsteer2-scores", "HelpSteer2's scores", "prompt, response, helpfulness, correctness",
     Outcome::single, "question=prompt, answer=response, score=helpfulness",
     "helpfulness=helpfulness, correctness=correctness, coherence=coherence, "
     "complexity=complexity, verbosity=verbosity",
     "", false, "*"},
    {"summaries-scores", "OpenAI's summaries with scores", "info, summary.text, summary.axes",
     Outcome::single,
     "question=info.post|info.article, answer=summary.text, score=summary.axes.overall, "
     "model=summary.policy, category=info.subreddit|info.site",
     "overall=summary.axes.overall, accuracy=summary.axes.accuracy, "
     "coverage=summary.axes.coverage, coherence=summary.axes.coherence, annotator=worker",
     "", false, "summary.axes.*"},
    {"prometheus-feedback", "Prometheus' feedback collection",
     "orig_instruction, orig_response, orig_score", Outcome::single,
     "question=orig_instruction, answer=orig_response, score=orig_score, rubric=orig_criteria, "
     "anchors=orig_score*_description, reason=orig_feedback, reference=orig_reference_answer",
     "score=orig_score"},
    {"kto", "KTO: answers that are good or bad", "completion, label", Outcome::single,
     "question=prompt, answer=completion, score=label, pass=label"},
    {"alpaca-eval-answers", "AlpacaEval's answers of one model", "instruction, output, generator",
     Outcome::single, "question=instruction, answer=output, model=generator, category=dataset"},
    {"mt-bench-answers", "MT-bench's answers of one model", "question_id, choices.0.turns",
     Outcome::single, "id=question_id, answer=choices.0.turns, model=model_id"},
    {"mt-bench-questions", "MT-bench's questions", "question_id, turns", Outcome::question,
     "id=question_id, question=turns, category=category, reference=reference"},
    {"pandalm", "PandaLM", "response1, response2", Outcome::said,
     "question=instruction, input=input, answer_a=response1, answer_b=response2, label=, id=idx, "
     "category=motivation_app"},
    {"pairs", "plain pairs", "answer_a, answer_b", Outcome::said,
     "question=question, answer_a=answer_a, answer_b=answer_b, label=label|winner|preference",
     "model_a=model_a, model_b=model_b, annotator=annotator, source=source, turn=turn, "
     "strength=strength, language=language"},
    {"answers", "single answers", "question|prompt|instruction, answer|response|output|completion",
     Outcome::single,
     "question=question|prompt|instruction, answer=answer|response|output|completion, "
     "score=score|rating|thumbs|feedback|label, pass=pass|thumbs|feedback|label, "
     "ratings=ratings, rubric=rubric, reason=reason|critique|rationale|feedback, "
     "model=model|generator, reference=reference|reference_answer, category=category, "
     "id=id|question_id",
     "score=score|rating|thumbs|feedback|label", "", false, "scores.*|*"},
    {"rated-conversations", "conversations whose last answer is good or bad, or has a score",
     "messages, label|pass|score|rating", Outcome::conversation,
     "question=, answer=messages, score=score|rating|label, pass=pass|label, "
     "reason=critique|feedback, model=model, id=id, category=category",
     "", "", false, "scores.*|*"},
};

// What every form with labels in words may have.
constexpr const char* kSaid =
    "scores=scores, score_a=score_a, score_b=score_b, votes=annotator, reason=reason, "
    "reference=reference, rubric=rubric, id=id, category=category, model_a=model_a, "
    "model_b=model_b";

constexpr const char* kOurs[] = {
    "question", "input",   "system", "rubric", "answer_a",  "answer_b", "label",    "scores",
    "score_a",  "score_b", "votes",  "reason", "reference", "id",       "category", "model_a",
    "model_b",  "turn",    "wins_a", "wins_b", "wins_tie",  "chosen",   "rejected", "answers",
    "answer",   "rank",    "score",  "model",  "anchors",   "pass",     "ratings"};

bool is_kind(const Json& value, std::string_view kind) {
  if (kind.empty()) return true;
  if (kind == "texts") return value.is_array() && !value.empty() && value[0].is_string();
  return value.is_string() && is_dialogue(value.get_ref<const std::string&>());
}

}  // namespace

std::vector<std::string> pieces_of(std::string_view text, std::string_view separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + separator.size(), text.size()));
  }
  return out;
}

const std::vector<PairForm>& pair_forms() { return kForms; }

const PairForm* find_form(std::string_view name) {
  for (const PairForm& form : kForms)
    if (name == form.name) return &form;
  return nullptr;
}

const PairForm& plain_pairs() {
  static const PairForm& pairs = *find_form("pairs");
  return pairs;
}

const PairForm& plain_answers() {
  static const PairForm& answers = *find_form("answers");
  return answers;
}

const PairForm& plain_questions() {
  static const PairForm questions = {
      "questions", "questions alone", "question|prompt|instruction", Outcome::question,
      "question=question|prompt|instruction, system=system, input=input"};
  return questions;
}

const Json* at_path(const Json& fields, std::string_view path) {
  if (fields.is_object())
    if (const auto it = fields.find(path); it != fields.end())
      return it->is_null() ? nullptr : &*it;
  const size_t dot = path.find('.');
  if (fields.is_array()) {
    const std::string_view first = path.substr(0, dot);
    size_t index = 0;
    const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), index);
    if (error != std::errc() || end != first.data() + first.size() || index >= fields.size() ||
        fields[index].is_null())
      return nullptr;
    return dot == std::string_view::npos ? &fields[index]
                                         : at_path(fields[index], path.substr(dot + 1));
  }
  if (!fields.is_object()) return nullptr;
  // A name may have dots of its own ("math_v0.1").
  for (size_t end = dot; end != std::string_view::npos; end = path.find('.', end + 1))
    if (const auto it = fields.find(path.substr(0, end)); it != fields.end())
      if (const Json* found = at_path(*it, path.substr(end + 1))) return found;
  return nullptr;
}

bool has_fields(const Json& fields, std::string_view needed) {
  for (const std::string& piece : pieces_of(needed, ", ")) {
    const size_t colon = piece.find(':');
    const std::string kind = colon == std::string::npos ? "" : piece.substr(colon + 1);
    const auto names = pieces_of(std::string_view(piece).substr(0, colon), "|");
    const bool has = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      const Json* value = at_path(fields, name);
      // A value may be null in the first record, but not where its kind is asked for.
      return value != nullptr ? is_kind(*value, kind) : kind.empty() && fields.contains(name);
    });
    if (!has) return false;
  }
  return true;
}

const PairForm* form_of(const Json& fields) {
  for (const PairForm& form : kForms)
    if (has_fields(fields, form.found_by)) return &form;
  return nullptr;
}

bool is_joined(const PairForm& form) {
  return form.outcome == Outcome::single || form.outcome == Outcome::conversation ||
         form.outcome == Outcome::question;
}

std::string with_star(std::string path, const std::string& value) {
  for (size_t at = path.find('*'); at != std::string::npos; at = path.find('*', at + value.size()))
    path.replace(at, 1, value);
  return path;
}

FieldNames field_names(const PairForm& form, const std::optional<JudgeForm>& answers) {
  FieldNames names;
  for (const char* name : kOurs) names[name] = "";
  const auto add = [&](const char* fields) {
    for (const std::string& piece : pieces_of(fields, ", ")) {
      const size_t equals = piece.find('=');
      names[piece.substr(0, equals)] = piece.substr(equals + 1);
    }
  };
  if (form.outcome == Outcome::said) add(kSaid);
  add(form.fields);
  if (answers && answers->kind == FormKind::criteria)
    for (const Criterion& c : answers->criteria)
      names["scores." + c.name] = with_star(form.criteria, c.name);
  return names;
}

void map_field(FieldNames& names, const std::string& mapping) {
  const size_t equals = mapping.find('=');
  const std::string name = mapping.substr(0, equals);
  if (equals == std::string::npos || !names.contains(name)) {
    std::string known;
    for (const auto& [n, field] : names) known += (known.empty() ? "" : ", ") + n;
    throw UsageError(
        fmt::format("--field {}: it must be NAME=FIELD, with NAME one of {}", mapping, known));
  }
  names[name] = mapping.substr(equals + 1);
}

const std::set<std::string>& known_fields() {
  static const std::set<std::string> known = [] {
    std::set<std::string> names;
    for (const PairForm& form : kForms)
      for (const auto& [name, field] : field_names(form))
        for (const std::string& one : pieces_of(field, "|"))
          if (one.find_first_of(".*") == std::string::npos) names.insert(one);
    for (int i = 1; i <= 9; ++i) names.insert("annotator" + std::to_string(i));
    return names;
  }();
  return known;
}

}  // namespace gavel
