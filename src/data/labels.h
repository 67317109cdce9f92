// Who won, as data sets write it.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/judge_prompt.h"

namespace gavel {

// What the user says that values mean: "0" is a tie, say.
using LabelMeanings = std::map<std::string, Verdict>;

// Changes `meanings` by "VALUE=A", "VALUE=B" or "VALUE=tie". Throws UsageError for anything else.
void add_meaning(LabelMeanings& meanings, const std::string& mapping);

// What `meanings` say of a value; nothing where they do not have it. 1, 1.0 and "1" are one value.
std::optional<Verdict> meaning_of(const nlohmann::ordered_json& value,
                                  const LabelMeanings& meanings);

// The verdict that a value stands for: by `meanings`, or where a text has one meaning only: A,
// model_a, "Response A",
// [[A]], first, left, A>B, "A is better"; tie, "tie (bothbad)", draw, both, neither, A=B. Nothing
// for the rest; numbers, which count from 0 or from 1 or have 0 for a tie, are among it.
std::optional<Verdict> read_label(const nlohmann::ordered_json& value,
                                  const LabelMeanings& meanings = {});

// Whether it is no label at all but a place left empty: null or a blank text.
bool is_unlabelled(const nlohmann::ordered_json& value);

// Why read_label gave nothing, for a user: the value, and what to do.
std::string label_advice(const nlohmann::ordered_json& value);

}  // namespace gavel
