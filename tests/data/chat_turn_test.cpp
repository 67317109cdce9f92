// Training has the prompt that inference has, whatever the chat template does with whole
// conversations.
#include "data/chat_turn.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const fs::path kGolden = GAVEL_GOLDEN_DIR;

TextEncoder encoder_of(const std::string& source) {
  TextEncoder encoder{.tokenizer = Tokenizer::from_file(kGolden / "models/llama/tokenizer.json")};
  encoder.chat_template.emplace(source);
  encoder.bos_token = "<|endoftext|>";
  encoder.eos_token = "<|im_end|>";
  return encoder;
}

std::string named(const std::string& name) {
  return read_file(kGolden / "chat_templates" / (name + ".jinja"));
}

Json message(const std::string& role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

Json before(const Json& messages) { return Json(messages.begin(), messages.end() - 1); }

std::string answer_of(const TextEncoder& encoder, const Json& messages) {
  const Example example = encode_judge_record(encoder, Json{{"messages", messages}})[0];
  const auto prompt = encode_chat(encoder, before(messages), Json(), true, false);
  EXPECT_EQ(example.prompt_length, static_cast<int32_t>(prompt.size()));
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), example.tokens.begin(),
                         example.tokens.begin() + example.prompt_length));
  const std::vector<int> rest(example.tokens.begin() + example.prompt_length, example.tokens.end());
  return encoder.tokenizer.decode(rest);
}

std::string error_of(const TextEncoder& encoder, const Json& messages) {
  try {
    encode_judge_record(encoder, Json{{"messages", messages}});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(ChatTurn, TrainingHasThePromptOfInferenceUnderEveryTemplate) {
  const Json user = message("user", "Which is better?"), system = message("system", "Be fair.");
  const Json verdict = message("assistant", "**Verdict:** A"), end = message("assistant", "end");
  const std::vector<Json> chats = {
      Json{user, verdict}, Json{system, user, verdict},
      Json{system, user, message("assistant", "B it is."), message("user", "Sure?"), verdict},
      Json{user, end, user, end},  // a word of <|im_end|>, said before
      Json{message("user", " Hi\n"), message("assistant", "  spaced \n")}};
  int learned = 0, refused = 0;
  for (const auto& file : fs::directory_iterator(kGolden / "chat_templates")) {
    if (file.path().extension() != ".jinja") continue;
    const TextEncoder encoder = encoder_of(read_file(file.path()));
    for (const Json& chat : chats) {
      SCOPED_TRACE(file.path().filename().string() + " " + chat.dump());
      try {
        encode_chat(encoder, before(chat), Json(), true, false);
      } catch (const Error&) {  // no system message, say
        ++refused;
        continue;
      }
      ++learned;
      const std::string said = chat.back()["content"],
                        words = said == "  spaced \n" ? "spaced" : said;
      const std::string answer = answer_of(encoder, chat);
      EXPECT_NE(answer.find(words), std::string::npos) << answer;
      EXPECT_EQ(answer.find("Sure?"), std::string::npos) << answer;
    }
  }
  EXPECT_GT(learned, 80);
  EXPECT_LT(refused, 10);
}

TEST(ChatTurn, AnOpenedThoughtIsContinuedOrClosed) {
  const TextEncoder r1 = encoder_of(named("deepseek-r1-distill"));
  const std::string end = "<｜end▁of▁sentence｜>";
  const Json user = message("user", "Q");
  EXPECT_EQ(answer_of(r1, Json{user, message("assistant", "**Verdict:** A")}),
            "\n</think>\n\n**Verdict:** A" + end);
  const std::string thought = "Hm.\n</think>\n\nA" + end;
  EXPECT_EQ(answer_of(r1, Json{user, message("assistant", "<think>\nHm.\n</think>\n\nA")}),
            thought);
  EXPECT_EQ(answer_of(r1, Json{user, message("assistant", "Hm.</think>\n\nA")}), thought);
  Json reasoned = message("assistant", "A");
  reasoned["reasoning_content"] = "Hm.\n";
  EXPECT_EQ(answer_of(r1, Json{user, reasoned}), thought);
  // Earlier answers stay as the prompt has them.
  const Json earlier{user, message("assistant", "<think>x</think>B"), user,
                     message("assistant", "A")};
  EXPECT_EQ(answer_of(r1, earlier), "\n</think>\n\nA" + end);

  // This one keeps thoughts in the conversation, with the answer's own white space.
  const std::string all =
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}";
  const TextEncoder keeps =
      encoder_of(all + "{% if add_generation_prompt %}<assistant><think>\n{% endif %}");
  EXPECT_EQ(answer_of(keeps, Json{user, message("assistant", "<think> Hm. </think>A")}),
            "Hm.\n</think>\n\nA<|im_end|>");
  EXPECT_EQ(answer_of(keeps, Json{user, message("assistant", "<think>\nHm. </think>A")}),
            "Hm. </think>A<|im_end|>");
  const TextEncoder bare =
      encoder_of(all + "{% if add_generation_prompt %}<assistant><think>{% endif %}");
  EXPECT_EQ(answer_of(bare, Json{user, message("assistant", "A")}), "\n\n</think>\n\nA<|im_end|>");
}

TEST(ChatTurn, AClosedThoughtStaysClosed) {
  const TextEncoder closes = encoder_of(
      "{% for m in messages %}<{{ m.role }}>\n{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<assistant>\n<think>\n\n</think>\n\n{% endif %}");
  const Json user = message("user", "Q");
  EXPECT_EQ(answer_of(closes, Json{user, message("assistant", "A")}), "A<|im_end|>\n");
  EXPECT_EQ(answer_of(closes, Json{user, message("assistant", "<think>\n</think>\nA")}),
            "A<|im_end|>\n");
  const std::string error = error_of(closes, Json{user, message("assistant", "<think>x</think>A")});
  EXPECT_NE(error.find("take what is up to \"</think>\" out of the answer"), std::string::npos)
      << error;
}

TEST(ChatTurn, AWholeConversationThatDropsAMessageIsPutTogether) {
  // Its system message goes to the last message, if that is the user's.
  const TextEncoder mistral = encoder_of(named("mistral-v0.3"));
  const Json chat{message("system", "Be fair."), message("user", "Q"), message("assistant", "A")};
  EXPECT_EQ(answer_of(mistral, chat), " A<|im_end|>");
  const auto prompt = encode_chat(mistral, before(chat), Json(), true, false);
  EXPECT_NE(mistral.tokenizer.decode(prompt).find("Be fair.\n\nQ"), std::string::npos);
}

TEST(ChatTurn, WhatCannotBePutTogetherIsRefused) {
  const TextEncoder other = encoder_of(
      "{% for m in messages %}{{ m.role }}{{ loop.length }}: {{ m.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant: {% endif %}");
  const std::string error = error_of(other, Json{message("user", "Q"), message("assistant", "A")});
  EXPECT_NE(error.find("give a template that renders both alike"), std::string::npos) << error;
}

TEST(ChatTurn, NoTokenRunsAcrossThePromptsEnd) {
  // A space at the prompt's end would be part of the answer's first token.
  const TextEncoder spaced = encoder_of(
      "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
      "{% if add_generation_prompt %}assistant: {% endif %}");
  const Json chat{message("user", "Q"), message("assistant", "the answer")};
  EXPECT_EQ(answer_of(spaced, chat), "the answer\n");
  EXPECT_NE(encode_judge_record(spaced, Json{{"messages", chat}})[0].tokens.size(),
            spaced.tokenizer.encode("user: Q\nassistant: the answer\n").size());
}

TEST(ChatTurn, AnAnswersTokensAreThoseThatTrainingHas) {
  const std::string label = "**Verdict:** tie";
  for (const char* name : {"smollm2", "deepseek-r1-distill", "llama2", "mistral-v0.3", "qwen3"}) {
    const TextEncoder encoder = encoder_of(named(name));
    const Json chat{message("system", "Be fair."), message("user", "Q"),
                    message("assistant", label + "<|im_end|>")};
    const Example example = encode_judge_record(encoder, Json{{"messages", chat}})[0];
    const auto tokens = encode_answer(encoder, {{"system", "Be fair."}, {"user", "Q"}}, label);
    ASSERT_GE(example.tokens.size(), example.prompt_length + tokens.size());
    EXPECT_TRUE(
        std::equal(tokens.begin(), tokens.end(), example.tokens.begin() + example.prompt_length))
        << name;
  }
}

// Tags of other models than DeepSeek's.
TEST(ChatTurn, OtherTagsOfThoughts) {
  const std::string whole = "U: q\nA: said";
  const Json user = message("user", "q");
  const auto turn = [&](const std::string& prompt, const Json& answer) {
    const auto found = answer_turn(prompt, whole, user, answer);
    return found ? found->text : "nothing";
  };
  EXPECT_EQ(turn("U: q\nA: <seed:think>", message("assistant", "said")),
            "\n\n</seed:think>\n\nsaid");
  EXPECT_EQ(turn("U: q\nA: [THINK]\n", message("assistant", "[THINK]so[/THINK]said")),
            "so\n[/THINK]\n\nsaid");
  // A thought in one model's tags goes on in the other's.
  EXPECT_EQ(turn("U: q\nA: <seed:think>", message("assistant", "<think>so</think>said")),
            "\nso\n</seed:think>\n\nsaid");
  EXPECT_EQ(turn("U: q\nA: [THINK][/THINK]", message("assistant", "said")), "said");
}

}  // namespace
}  // namespace gavel
