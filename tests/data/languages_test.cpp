#include "data/languages.h"

#include <gtest/gtest.h>

namespace gavel {
namespace {

TEST(Languages, OfCommonQuestions) {
  for (const auto& [text, language] : std::initializer_list<std::pair<const char*, const char*>>{
           {"What is the capital of France?", "English"},
           {"Wie funktioniert die Fotosynthese und was ist Chlorophyll?", "German"},
           {"Quelle est la capitale de l'Allemagne et pour qui ?", "French"},
           {"¿Cuál es la capital de Francia y por qué?", "Spanish"},
           {"Qual é a capital da França? Você não sabe?", "Portuguese"},
           {"Qual è la capitale della Francia, e come si chiama il fiume?", "Italian"},
           {"Wat is de hoofdstad van het land en hoe groot zijn de steden?", "Dutch"},
           {"法国的首都是什么？", "Chinese"},
           {"フランスの首都はどこですか。", "Japanese"},
           {"프랑스의 수도는 어디입니까?", "Korean"},
           {"Какая столица Франции?", "Russian"},
           {"ما هي عاصمة فرنسا؟", "Arabic"},
           {"फ्रांस की राजधानी क्या है?", "Hindi"},
           {"Kwik kweg flurb", "Latin script"},
           {"2 + 2 = ?", ""},
           {"", ""},
           {"\xFF\xFE\xE4", ""}})
    EXPECT_EQ(language_of(text), language) << text;
}

TEST(Languages, ForeignNamesDoNotDecide) {
  EXPECT_EQ(language_of("Please translate 你好 to English for the reader of this text."),
            "English");
  EXPECT_EQ(language_of("请解释一下 Python 的 list 是什么意思，怎么使用？"), "Chinese");
}

}  // namespace
}  // namespace gavel
