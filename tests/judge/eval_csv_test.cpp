#include "judge/eval_csv.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

TEST(EvalCsv, HasALineForEveryNumber) {
  const Json i = {{"value", 0.5}, {"low", 0.25}, {"high", nullptr}};
  const Json evaluation = {
      {"judges",
       {{{"name", "tuned, \"best\""},
         {"metrics",
          {{"agreement", i}, {"ece", {{"value", nullptr}, {"low", nullptr}, {"high", nullptr}}}}},
         {"speed", {{"wall_seconds", 0.1}}},
         {"calibrations", {{{"method", "platt"}, {"nll", 0.75}, {"folds", Json::array()}}}},
         {"paraphrases",
          {{"templates", {{{"template", "a.txt"}, {"pairs", 3}, {"same", i}}}},
           {"same_by_all", i}}},
         {"confusion", {{"counts", {{1, 2}, {3, 4}}}}}}}},
      {"groups",
       {{{"field", "model"},
         {"groups",
          {{{"value", "=1+1"},
            {"pairs", 3},
            {"baselines", {{"label", "A"}, {"majority", i}}},
            {"judges", {{{"name", "tuned"}, {"metrics", {{"kappa", i}}}}}}}}}}}},
      {"win_rates",
       {{{"judge", "tuned"},
         {"models", {{{"model", "=x"}, {"pairs", 7}, {"judge", i}}}},
         {"family", {{"name", "qwen"}, {"pairs", 0}}}}}},
      {"suites",
       {{{"suite", "llmbar"}, {"judges", {{{"name", "tuned"}, {"parts", {{"Natural", i}}}}}}}}},
      {"comparisons",
       {{{"first", "base"},
         {"second", "tuned"},
         {"mcnemar_p", 1e-20},
         {"differences", {{"f1", i}}}}}},
      {"baselines", {{"label", "A"}, {"majority", i}}},
      {"people", {{"answers", 4}, {"alpha", {{"clarity", i}}}, {"pairwise", {{"clarity", i}}}}}};
  EXPECT_EQ(evaluation_csv(evaluation),
            "section,judge,of,measure,value,low,high\r\n"
            "metrics,\"tuned, \"\"best\"\"\",,agreement,0.5,0.25,\r\n"
            "metrics,\"tuned, \"\"best\"\"\",,ece,,,\r\n"
            "speed,\"tuned, \"\"best\"\"\",,wall_seconds,0.1,,\r\n"
            "calibrations,\"tuned, \"\"best\"\"\",platt,nll,0.75,,\r\n"
            "paraphrases,\"tuned, \"\"best\"\"\",a.txt,pairs,3,,\r\n"
            "paraphrases,\"tuned, \"\"best\"\"\",a.txt,same,0.5,0.25,\r\n"
            "paraphrases,\"tuned, \"\"best\"\"\",,same_by_all,0.5,0.25,\r\n"
            "groups,tuned,model==1+1,kappa,0.5,0.25,\r\n"
            "baselines,,model==1+1,majority,0.5,0.25,\r\n"
            "win_rates,tuned,'=x,pairs,7,,\r\n"
            "win_rates,tuned,'=x,judge,0.5,0.25,\r\n"
            "family,tuned,qwen,pairs,0,,\r\n"
            "suites,tuned,llmbar,Natural,0.5,0.25,\r\n"
            "comparisons,tuned,base,mcnemar_p,1e-20,,\r\n"
            "comparisons,tuned,base,f1,0.5,0.25,\r\n"
            "people,,,answers,4,,\r\n"
            "people,,clarity,alpha,0.5,0.25,\r\n"
            "people,,clarity,pairwise,0.5,0.25,\r\n"
            "baselines,,,majority,0.5,0.25,\r\n");
  EXPECT_EQ(evaluation_csv(Json::object()), "section,judge,of,measure,value,low,high\r\n");
}

}  // namespace
}  // namespace gavel
