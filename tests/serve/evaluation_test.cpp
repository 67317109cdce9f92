#include "serve/evaluation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "folder_test.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

Json judge(const std::string& name, const std::string& adapter, double agreement) {
  return {{"name", name},
          {"adapter", adapter},
          {"metrics", {{"agreement", {{"value", agreement}, {"low", 0}, {"high", 1}}}}}};
}

class EvaluationTest : public FolderTest {
 protected:
  std::optional<Json> load(const Json& content, const std::filesystem::path& adapter) {
    const auto path = file("eval.json", content.dump());
    const auto body = load_evaluation(path.parent_path(), adapter, "j");
    return body ? std::optional(Json::parse(*body)) : std::nullopt;
  }
};

TEST_F(EvaluationTest, IsThatOfTheServedAdapter) {
  const auto folder = dir_ / "here";
  std::filesystem::create_directories(folder);
  const Json content = {{"form", "pair"},
                        {"examples", 40},
                        {"judges",
                         {judge("base", "", 0.3), judge("one", folder.string() + "/.", 0.9),
                          judge("two", "elsewhere", 0.8)}},
                        {"tables", Json::array()}};
  const auto body = load(content, folder);
  ASSERT_TRUE(body);
  EXPECT_EQ((*body)["object"], "evaluation");
  EXPECT_EQ((*body)["model"], "j");
  EXPECT_EQ((*body)["examples"], 40);
  EXPECT_EQ((*body)["judge"]["name"], "one");
  EXPECT_EQ((*body)["base"]["metrics"]["agreement"]["value"], 0.3);
  EXPECT_FALSE(body->contains("tables"));
  // An adapter that was moved: the last one.
  EXPECT_EQ((*load(content, "moved"))["judge"]["name"], "two");
  // The base model alone is the judge, and nothing is beside it.
  const auto alone = load({{"judges", {judge("base", "", 0.3)}}}, "");
  EXPECT_EQ((*alone)["judge"]["name"], "base");
  EXPECT_FALSE(alone->contains("base"));
}

TEST_F(EvaluationTest, OtherFilesAreRefusedAndNoneIsNone) {
  EXPECT_FALSE(load_evaluation(file("x", "").parent_path() / "nowhere", "", "j"));
  for (const char* bad : {"", "[]", "{}", R"({"judges": []})", R"({"judges": [{"name": "a"}]})",
                          R"({"judges": [{"name": "a", "adapter": 1, "metrics": {}}]})"})
    EXPECT_THROW(load_evaluation(file("eval.json", bad), "", "j"), Error) << bad;
}

}  // namespace
}  // namespace gavel
