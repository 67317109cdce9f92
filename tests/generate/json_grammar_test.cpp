// Texts drawn from schemas are JSON that the schemas take; masks are what byte by byte gives.
#include "generate/json_grammar.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/random.h"
#include "data/jsonl.h"
#include "text/unicode.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

bool has_type(const Json& v, const std::string& type) {
  if (type == "integer") return v.is_number_integer();
  return type == "number" ? v.is_number() : type == v.type_name();
}

// A small validator, written from the specification and not from the automaton.
bool valid(const Json& schema, const Json& v, const Json& root) {
  if (schema.is_boolean()) return schema.get<bool>();
  if (schema.contains("$ref"))
    return valid(root.at(Json::json_pointer(schema["$ref"].get<std::string>().substr(1))), v, root);
  for (const char* name : {"anyOf", "oneOf"})
    if (schema.contains(name) && std::none_of(schema[name].begin(), schema[name].end(),
                                              [&](const Json& s) { return valid(s, v, root); }))
      return false;
  if (schema.contains("const") && schema["const"] != v) return false;
  if (schema.contains("enum") &&
      std::find(schema["enum"].begin(), schema["enum"].end(), v) == schema["enum"].end())
    return false;
  if (schema.contains("type")) {
    const Json types = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    if (std::none_of(types.begin(), types.end(),
                     [&](const Json& t) { return has_type(v, t.get<std::string>()); }))
      return false;
  }
  const auto within = [&](const char* least, const char* most, size_t n) {
    return n >= schema.value(least, size_t{0}) && n <= schema.value(most, SIZE_MAX);
  };
  if (v.is_string())
    return within("minLength", "maxLength", unicode::count(v.get_ref<const std::string&>()));
  if (v.is_array())
    return within("minItems", "maxItems", v.size()) &&
           std::all_of(v.begin(), v.end(), [&](const Json& item) {
             return valid(schema.value("items", Json(true)), item, root);
           });
  if (!v.is_object()) return true;
  for (const Json& name : schema.value("required", Json::array()))
    if (!v.contains(name.get<std::string>())) return false;
  const Json known = schema.value("properties", Json::object());
  for (const auto& [name, value] : v.items())
    if (!valid(
            known.contains(name) ? known[name] : schema.value("additionalProperties", Json(true)),
            value, root))
      return false;
  return true;
}

const std::vector<Json>& schemas() {
  static const std::vector<Json> all = [] {
    std::vector<Json> list;
    for (const char* text :
         {R"({"type":"object"})", R"({})", R"({"type":"string","minLength":2,"maxLength":5})",
          R"({"type":["integer","null"]})", R"({"type":"number"})",
          R"({"enum":["a","ab","a\"é",1,12,null,{"x":[1]}]})", R"({"const":"<\n>"})",
          R"({"type":"object","properties":{"verdict":{"enum":["A","B","tie"]},
              "why":{"type":"string"},"score":{"type":"number"}},
              "required":["verdict","score"],"additionalProperties":false})",
          R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["b"]})",
          R"({"type":"object","additionalProperties":{"type":"boolean"}})",
          R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4})",
          R"({"type":"array","items":{"type":"boolean"},"minItems":3})",
          R"({"type":"array","maxItems":0})",
          R"({"anyOf":[{"type":"object","properties":{"k":{"const":1}},"required":["k"]},
              {"type":"object","properties":{"k":{"const":12},"m":{"type":"null"}},"required":["k","m"]},
              {"type":"array","items":{"type":"string"}}]})",
          R"({"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":
              {"v":{"type":"integer"},"left":{"anyOf":[{"$ref":"#/$defs/tree"},{"type":"null"}]},
               "kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v","left"]}}})"})
      list.push_back(Json::parse(text));
    return list;
  }();
  return all;
}

// A vocabulary of all bytes and some longer tokens; token 0 has no bytes.
std::vector<std::string> small_vocabulary() {
  std::vector<std::string> tokens = {""};
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  for (const char* t : {"{\"",   "\":", "\": \"",  "\",",    "\"}",      "true",         "null",
                        " null", "ab",  "hello",   " world", "\xc3\xa9", "\xc3\xa9\xc3", "[]",
                        "[[",    "12",  "-1",      ", \"",   "}}",       "\\n",          "\\u00",
                        "  ",    "\n",  "verdict", "A\"",    "]}",       "\":1",         "0.5"})
    tokens.emplace_back(t);
  return tokens;
}

TEST(JsonGrammar, DrawnTextsAreValidAndMasksAreWhatTheBytesSay) {
  const TokenTrie tokens(small_vocabulary());
  Random random(11);
  std::vector<bool> allowed;
  for (const Json& schema : schemas()) {
    const auto grammar = JsonGrammar::compile(schema);
    for (int round = 0; round < 20; ++round) {
      JsonMatcher matcher(grammar);
      std::string text;
      for (int step = 0; !matcher.complete(); ++step) {
        if (matcher.may_end() && random.below(4) == 0) break;
        matcher.mask(tokens, allowed);
        std::vector<int> ids, closing;
        for (int id = 0; id < static_cast<int>(tokens.size()); ++id) {
          if (step < 40 || step % 16 == 0) {
            JsonMatcher copy = matcher;
            bool ok = !tokens.bytes(id).empty();
            for (const char b : tokens.bytes(id)) ok = ok && copy.advance(static_cast<uint8_t>(b));
            ASSERT_EQ(allowed[static_cast<size_t>(id)], ok) << schema << text << tokens.bytes(id);
          }
          if (!allowed[static_cast<size_t>(id)]) continue;
          ids.push_back(id);
          if (tokens.bytes(id).find_first_of("\"]}") != std::string::npos) closing.push_back(id);
        }
        if (ids.empty()) {  // a number with all its digits
          ASSERT_TRUE(matcher.may_end()) << schema << text;
          break;
        }
        ASSERT_LT(step, 5000) << schema << text.substr(0, 300);
        const auto& from = step > 20 && !closing.empty() && random.below(3) > 0 ? closing : ids;
        const int id = from[random.below(from.size())];
        for (const char b : tokens.bytes(id)) ASSERT_TRUE(matcher.advance(static_cast<uint8_t>(b)));
        text += tokens.bytes(id);
      }
      Json value;
      ASSERT_NO_THROW(value = parse_json(text)) << text;
      EXPECT_TRUE(valid(schema, value, schema)) << schema << text;
      EXPECT_EQ(text.find('\n'), std::string::npos);
      EXPECT_EQ(JsonMatcher(matcher).advance(' '), false);
    }
  }
}

bool takes(const Json& schema, const std::string& text) {
  JsonMatcher matcher(JsonGrammar::compile(schema));
  for (const char b : text)
    if (!matcher.advance(static_cast<uint8_t>(b))) return false;
  return matcher.may_end();
}

TEST(JsonGrammar, TakesAndRefusesTexts) {
  const Json any = Json::object();
  for (const char* text : {"{}", R"({"a": [1, -2.5e+10, true], "b":{"c":null}})", R"("é😀\u00e9\n")",
                           "0", "-0", "1e5", "[]", R"([[], {}])"})
    EXPECT_TRUE(takes(any, text)) << text;
  for (const char* text :
       {"",        " {}",         "{ }",      "{\"a\":  1}",      "{\"a\" :1}",   "01",
        "1.",      "-",           "[1,]",     "{\"a\":1,}",       "{a:1}",        "\"\t\"",
        "\"\\x\"", "\"\\ud800\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "[1 ]",
        "tru",     "1e999",       "{}{}"})
    EXPECT_FALSE(takes(any, text)) << text;
  JsonMatcher object(JsonGrammar::any_object());
  EXPECT_FALSE(object.advance('['));
  const Json& judge = schemas()[7];
  EXPECT_TRUE(takes(judge, R"({"verdict":"tie","score":1})"));
  EXPECT_TRUE(takes(judge, R"({"verdict":"A","why":"x","score":1})"));
  EXPECT_FALSE(takes(judge, R"({"verdict":"C","score":1})"));
  EXPECT_FALSE(takes(judge, R"({"verdict":"A"})"));
  EXPECT_FALSE(takes(judge, R"({"score":1,"verdict":"A"})"));  // the schema's order
  EXPECT_FALSE(takes(judge, R"({"verdict":"A","score":1,"more":1})"));
}

TEST(JsonGrammar, WhatIsNotSupportedIsRefusedByName) {
  const auto refused = [](const Json& schema) {
    try {
      JsonGrammar::compile(schema);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  for (const char* name :
       {"pattern", "format", "minimum", "multipleOf", "allOf", "not", "prefixItems",
        "patternProperties", "minProperties", "if", "uniqueItems", "made-up"})
    EXPECT_NE(refused({{"type", "string"}, {name, 1}}).find(name), std::string::npos) << name;
  for (const char* text : {R"([])",
                           R"("x")",
                           "false",
                           R"({"type":"text"})",
                           R"({"type":[]})",
                           R"({"type":7})",
                           R"({"enum":[]})",
                           R"({"enum":"a"})",
                           R"({"type":"string","enum":[1]})",
                           R"({"anyOf":[]})",
                           R"({"anyOf":{}})",
                           R"({"$ref":"#/none"})",
                           R"({"$ref":"http://x/y"})",
                           R"({"$ref":"#x~3"})",
                           R"({"$ref":"#"})",
                           R"({"required":"a"})",
                           R"({"minItems":-1})",
                           R"({"minItems":3,"maxItems":2})",
                           R"({"maxLength":1.5})",
                           R"({"minItems":9999999999999999999})",
                           R"({"properties":[]})",
                           R"({"properties":{"a":{"$ref":"#"}},"required":["a"]})",
                           R"({"items":{"$ref":"#"},"minItems":1})",
                           R"({"anyOf":[{"$ref":"#"}]})",
                           R"({"type":"object","required":["a"],"additionalProperties":false})"})
    EXPECT_NE(refused(Json::parse(text)), "") << text;
  Json deep = Json::object();
  for (int i = 0; i < 60; ++i) deep = {{"items", deep}};
  EXPECT_NE(refused(deep), "");
  Json huge = {{"enum", Json::array()}};
  for (int i = 0; i < 5000; ++i) huge["enum"].push_back(i);
  EXPECT_NE(refused(huge), "");
  EXPECT_NE(refused({{"const", std::string(1 << 20, 'x')}}), "");
}

TEST(JsonGrammar, AmbiguityDoesNotMultiplyWithoutEnd) {
  const Json twice = Json::parse(
      R"({"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}},
          {"type":"array","items":{"$ref":"#"}}]})");
  JsonMatcher matcher(JsonGrammar::compile(twice));
  std::string text;
  for (int i = 0; i < 25; ++i) text += "{\"a\":";
  text += "{}" + std::string(25, '}');
  for (const char b : text) ASSERT_TRUE(matcher.advance(static_cast<uint8_t>(b)));
  EXPECT_TRUE(matcher.complete());
}

TEST(JsonGrammar, ManyWaysOverALargeVocabularyStayValid) {
  Json schema = {{"anyOf", Json::array()}};
  for (int i = 1; i <= 900; ++i)
    schema["anyOf"].push_back({{"type", "string"}, {"minLength", i}, {"maxLength", i}});
  std::vector<std::string> words;
  for (char a = 'a'; a <= 'z'; ++a)
    for (char b = 'a'; b <= 'z'; ++b)
      for (char c = 'a'; c <= 'z'; ++c) words.push_back({a, b, c});
  words.push_back("\"");
  const TokenTrie tokens(words);
  JsonMatcher matcher(JsonGrammar::compile(schema));
  std::vector<bool> allowed;
  ASSERT_TRUE(matcher.advance('"'));
  std::string text = "\"";
  for (int i = 0; !matcher.complete(); ++i) {
    ASSERT_LT(i, 1000);
    matcher.mask(tokens, allowed);
    const auto id =
        static_cast<size_t>(std::find(allowed.begin(), allowed.end(), true) - allowed.begin());
    ASSERT_LT(id, words.size()) << text;
    for (const char byte : words[id]) ASSERT_TRUE(matcher.advance(static_cast<uint8_t>(byte)));
    text += words[id];
  }
  EXPECT_TRUE(Json::accept(text)) << text;
}

}  // namespace
}  // namespace gavel
