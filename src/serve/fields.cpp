#include "serve/fields.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/jsonl.h"
#include "http/api_error.h"

namespace gavel {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void wrong_type(const std::string& name, std::string_view wanted, const Json& value) {
  bad_request(name, "'{}' must be {}, not {} {}", name, wanted,
              value.is_array() || value.is_object() ? "an" : "a", value.type_name());
}

}  // namespace

Json parse_body(std::string_view body) {
  Json parsed;
  try {
    parsed = parse_json(body);
  } catch (const Error& e) {
    bad_request("", "The body is not usable JSON: {}", e.what());
  }
  if (!parsed.is_object())
    bad_request("", "The body must be a JSON object, not {}", parsed.type_name());
  return parsed;
}

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

const Json* Fields::value(const char* name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::optional<std::string> Fields::text(const char* name) const {
  const Json* v = value(name);
  if (v == nullptr) return std::nullopt;
  if (!v->is_string()) wrong_type(path(name), "a string", *v);
  return v->get<std::string>();
}

std::string Fields::needed_text(const char* name) const {
  auto found = text(name);
  if (!found) bad_request(path(name), "'{}' is missing", path(name));
  return std::move(*found);
}

std::optional<bool> Fields::boolean(const char* name) const {
  const Json* v = value(name);
  if (v == nullptr) return std::nullopt;
  if (!v->is_boolean()) wrong_type(path(name), "true or false", *v);
  return v->get<bool>();
}

std::optional<int64_t> whole_number(const Json& value) {
  constexpr double kExact = 9007199254740992;  // 2^53: whole numbers are exact up to here
  if (value.is_number_unsigned()) {
    const auto n = value.get<uint64_t>();
    return n <= uint64_t{INT64_MAX} ? std::optional(static_cast<int64_t>(n)) : std::nullopt;
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const auto n = value.get<double>();
  if (!(std::abs(n) <= kExact) || n != std::trunc(n)) return std::nullopt;
  return static_cast<int64_t>(n);
}

std::optional<int64_t> Fields::integer(const char* name, int64_t low, int64_t high) const {
  const Json* v = value(name);
  if (v == nullptr) return std::nullopt;
  const auto n = whole_number(*v);
  if (!n && !v->is_number_integer()) wrong_type(path(name), "an integer", *v);
  if (!n || *n < low || *n > high)
    bad_request(path(name), "'{}' is {}; it must be from {} to {}", path(name), v->dump(), low,
                high);
  return n;
}

std::optional<double> Fields::number(const char* name, double low, double high) const {
  const Json* v = value(name);
  if (v == nullptr) return std::nullopt;
  if (!v->is_number()) wrong_type(path(name), "a number", *v);
  const auto number = v->get<double>();
  if (!(number >= low && number <= high))
    bad_request(path(name), "'{}' is {}; it must be from {} to {}", path(name), v->dump(), low,
                high);
  return number;
}

}  // namespace gavel
