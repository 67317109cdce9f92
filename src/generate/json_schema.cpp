// Compiling JSON schemas: what is not supported is refused by name.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "generate/json_grammar.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;
using Kind = JsonGrammar::Kind;

constexpr size_t kMaxRules = 4000, kMaxValues = 1000, kMaxLiteralBytes = 64 << 10;
constexpr int kMaxSchemaDepth = 48, kNever = 1 << 20;
constexpr int64_t kMaxCount = 1'000'000;

const std::set<std::string, std::less<>> kAnnotations = {
    "title",    "description", "default",  "examples",  "$schema", "$id",
    "$comment", "deprecated",  "readOnly", "writeOnly", "$defs",   "definitions"};
const std::set<std::string, std::less<>> kOfTypes = {
    "type",     "properties", "required", "additionalProperties", "items", "minItems",
    "maxItems", "minLength",  "maxLength"};

bool is_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  return type == value.type_name();
}

class Compiler {
 public:
  explicit Compiler(const Json& root) : root_(root) {}

  std::shared_ptr<const JsonGrammar> run() {
    any_string_ = add({.kind = Kind::string});
    const int root = compile(root_, "#", 0);
    return finish(root);
  }

  std::shared_ptr<const JsonGrammar> any_object() {
    any_string_ = add({.kind = Kind::string});
    return finish(add({.kind = Kind::object, .items = any()}));
  }

 private:
  std::shared_ptr<const JsonGrammar> finish(int root) {
    flatten();
    measure();
    if (rule(root).depth >= kNever)
      fail("schema: no finite value fits, since the schema needs itself within itself");
    grammar_.root = root;
    grammar_.any_string = any_string_;
    return std::make_shared<const JsonGrammar>(std::move(grammar_));
  }

  JsonGrammar::Rule& rule(int id) { return grammar_.rules[static_cast<size_t>(id)]; }

  int add(JsonGrammar::Rule made) {
    literal_bytes_ += made.text.size();
    if (grammar_.rules.size() >= kMaxRules || literal_bytes_ > kMaxLiteralBytes)
      fail("schema: it is too large ({} parts and {} bytes of names and values are the most)",
           kMaxRules, kMaxLiteralBytes);
    grammar_.rules.push_back(std::move(made));
    return static_cast<int>(grammar_.rules.size()) - 1;
  }
  int literal(const Json& value) {
    return add(
        {.kind = Kind::literal, .text = value.dump(-1, ' ', false, Json::error_handler_t::strict)});
  }

  int any() {
    if (any_ >= 0) return any_;
    any_ = add({});
    std::vector<int> options = {any_string_, add({.kind = Kind::number}),
                                add({.kind = Kind::object, .items = any_}),
                                add({.kind = Kind::array, .items = any_})};
    for (const Json& value : {Json(true), Json(false), Json()}) options.push_back(literal(value));
    rule(any_).options = std::move(options);
    return any_;
  }

  int compile(const Json& schema, const std::string& where, int depth) {
    if (depth > kMaxSchemaDepth) fail("schema {}: it is nested too deeply", where.substr(0, 60));
    if (schema.is_boolean() && schema.get<bool>()) return any();
    if (!schema.is_object()) fail("schema {}: it must be an object", where);
    const bool literal_values = schema.contains("enum") || schema.contains("const");
    for (const char* alone : {"$ref", "anyOf", "oneOf", "enum", "const"})
      if (schema.contains(alone))
        for (const auto& [name, unused] : schema.items())
          if (name != alone && !kAnnotations.contains(name) && !(literal_values && name == "type"))
            fail("schema {}: '{}' beside '{}' is not supported", where, name, alone);
    if (schema.contains("$ref")) return reference(schema["$ref"], where, depth);
    for (const char* name : {"anyOf", "oneOf"})
      if (schema.contains(name)) return alternatives(schema[name], where + "/" + name, depth);
    if (literal_values) return values(schema, where);
    bool any_type = true;
    for (const auto& [name, unused] : schema.items()) {
      if (kAnnotations.contains(name)) continue;
      if (!kOfTypes.contains(name)) fail("schema {}: '{}' is not supported", where, name);
      any_type = false;
    }
    if (any_type) return any();
    std::vector<int> options;
    for (const std::string& type : types(schema, where))
      options.push_back(of_type(schema, type, where, depth));
    return options.size() == 1 ? options[0] : add({.options = std::move(options)});
  }

  static std::vector<std::string> types(const Json& schema, const std::string& where) {
    if (!schema.contains("type")) {  // the type that the other words are about
      if (schema.contains("items") || schema.contains("minItems") || schema.contains("maxItems"))
        return {"array"};
      if (schema.contains("minLength") || schema.contains("maxLength")) return {"string"};
      return {"object"};
    }
    const Json list = schema["type"].is_array() ? schema["type"] : Json::array({schema["type"]});
    std::vector<std::string> types;
    for (const Json& type : list) {
      static const std::set<std::string, std::less<>> kTypes = {
          "object", "array", "string", "number", "integer", "boolean", "null"};
      if (!type.is_string() || !kTypes.contains(type.get<std::string>()))
        fail("schema {}: there is no type {}", where, type.dump().substr(0, 60));
      types.push_back(type.get<std::string>());
    }
    if (types.empty() || types.size() > 7) fail("schema {}: 'type' must name 1 to 7", where);
    return types;
  }

  int of_type(const Json& schema, const std::string& type, const std::string& where, int depth) {
    if (type == "null") return literal(nullptr);
    if (type == "boolean") return add({.options = {literal(true), literal(false)}});
    if (type == "number" || type == "integer")
      return add({.kind = type == "number" ? Kind::number : Kind::integer});
    if (type == "string") return limited(schema, Kind::string, "minLength", "maxLength", where);
    if (type == "object") return object(schema, where, depth);
    const int made = limited(schema, Kind::array, "minItems", "maxItems", where);
    const int items =
        schema.contains("items") ? compile(schema["items"], where + "/items", depth + 1) : any();
    rule(made).items = items;
    return made;
  }

  int limited(const Json& schema, Kind kind, const char* least, const char* most,
              const std::string& where) {
    const auto count = [&](const char* name, int64_t otherwise) {
      if (!schema.contains(name)) return otherwise;
      const Json& value = schema[name];
      if (!value.is_number_integer() || value < 0 || value > kMaxCount)
        fail("schema {}: '{}' must be an integer from 0 to {}", where, name, kMaxCount);
      return value.get<int64_t>();
    };
    const int64_t low = count(least, 0), high = count(most, -1);
    if (high >= 0 && high < low) fail("schema {}: '{}' is above '{}'", where, least, most);
    return add({.kind = kind, .least = low, .most = high});
  }

  int object(const Json& schema, const std::string& where, int depth) {
    const int made = add({.kind = Kind::object});
    std::set<std::string> required;
    if (schema.contains("required")) {
      if (!schema["required"].is_array()) fail("schema {}: 'required' must be a list", where);
      for (const Json& name : schema["required"]) {
        if (!name.is_string()) fail("schema {}: 'required' must hold names", where);
        required.insert(name.get<std::string>());
      }
    }
    const Json more = schema.value("additionalProperties", Json(true));
    const bool closed = more.is_boolean() && !more.get<bool>();
    const int other = closed ? -1 : compile(more, where + "/additionalProperties", depth + 1);
    std::vector<JsonGrammar::Member> members;
    const auto add_member = [&](const std::string& name, int value, bool needed) {
      members.push_back({literal(Json(name)), value, needed});
    };
    if (schema.contains("properties")) {
      if (!schema["properties"].is_object())
        fail("schema {}: 'properties' must be an object", where);
      for (const auto& [name, value] : schema["properties"].items())
        add_member(name, compile(value, where + "/properties/" + name, depth + 1),
                   required.erase(name) > 0);
    }
    for (const std::string& name : required) {
      if (closed) fail("schema {}: '{}' is required and not allowed", where, name);
      add_member(name, other, true);
    }
    rule(made).items = members.empty() ? other : -1;
    rule(made).members = std::move(members);
    return made;
  }

  int values(const Json& schema, const std::string& where) {
    const Json list = schema.contains("const") ? Json::array({schema["const"]}) : schema["enum"];
    if (schema.contains("const") && schema.contains("enum"))
      fail("schema {}: 'enum' beside 'const' is not supported", where);
    if (!list.is_array() || list.empty() || list.size() > kMaxValues)
      fail("schema {}: 'enum' must be a list of 1 to {} values", where, kMaxValues);
    const auto allowed =
        schema.contains("type") ? types(schema, where) : std::vector<std::string>{};
    std::vector<int> options;
    for (const Json& value : list)
      if (allowed.empty() || std::any_of(allowed.begin(), allowed.end(),
                                         [&](const auto& type) { return is_type(value, type); }))
        options.push_back(literal(value));
    if (options.empty()) fail("schema {}: none of the values has the type", where);
    return add({.options = std::move(options)});
  }

  int alternatives(const Json& list, const std::string& where, int depth) {
    if (!list.is_array() || list.empty() || list.size() > kMaxValues)
      fail("schema {}: it must be a list of 1 to {} schemas", where, kMaxValues);
    std::vector<int> options;
    for (size_t i = 0; i < list.size(); ++i)
      options.push_back(compile(list[i], fmt::format("{}/{}", where, i), depth + 1));
    return add({.options = std::move(options)});
  }

  int reference(const Json& ref, const std::string& where, int depth) {
    if (!ref.is_string() || !ref.get<std::string>().starts_with('#'))
      fail("schema {}: '$ref' must begin with #, in this schema", where);
    const auto path = ref.get<std::string>();
    if (const auto found = references_.find(path); found != references_.end()) return found->second;
    const Json* target = nullptr;
    try {
      target = &root_.at(Json::json_pointer(path.substr(1)));
    } catch (const Json::exception&) {
      fail("schema {}: there is no {}", where, path.substr(0, 200));
    }
    const int made = add({});
    references_[path] = made;
    const int value = compile(*target, path, depth + 1);
    rule(made).options = {value};
    return made;
  }

  // Options of options become a rule's own.
  void flatten() {
    const auto count = static_cast<int>(grammar_.rules.size());
    std::vector<std::vector<int>> all(grammar_.rules.size());
    for (int id = 0; id < count; ++id) {
      std::set<int> seen = {id};
      std::vector<int> todo = {id};
      while (!todo.empty()) {
        const int next = todo.back();
        todo.pop_back();
        if (rule(next).kind != Kind::any_of) {
          all[static_cast<size_t>(id)].push_back(next);
          continue;
        }
        for (const int option : rule(next).options)
          if (seen.insert(option).second) todo.push_back(option);
      }
      if (seen.size() > kMaxValues + 100) fail("schema: one place has too many alternatives");
    }
    for (int id = 0; id < count; ++id) rule(id).options = std::move(all[static_cast<size_t>(id)]);
  }

  // The least nesting of each rule, kNever where there is no end to it.
  void measure() {
    for (auto& r : grammar_.rules) r.depth = kNever;
    for (bool changed = true; std::exchange(changed, false);)
      for (auto& r : grammar_.rules) {
        int depth = 0;
        if (r.kind == Kind::any_of) {
          depth = kNever;
          for (const int option : r.options) depth = std::min(depth, rule(option).depth);
        } else if (r.kind == Kind::object) {
          for (const auto& m : r.members)
            if (m.required) depth = std::max(depth, rule(m.value).depth);
        } else if (r.kind == Kind::array && r.least > 0) {
          depth = rule(r.items).depth;
        }
        if (r.kind == Kind::object || r.kind == Kind::array) depth = std::min(depth + 1, kNever);
        changed |= depth < r.depth;
        r.depth = std::min(depth, r.depth);
      }
  }

  const Json& root_;
  JsonGrammar grammar_;
  std::map<std::string, int> references_;
  size_t literal_bytes_ = 0;
  int any_string_ = 0, any_ = -1;
};

}  // namespace

std::shared_ptr<const JsonGrammar> JsonGrammar::any_object() {
  const Json none;
  return Compiler(none).any_object();
}

std::shared_ptr<const JsonGrammar> JsonGrammar::compile(const Json& schema) {
  return Compiler(schema).run();
}

}  // namespace gavel
