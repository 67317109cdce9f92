// Reading the fields of a request's JSON: each with its type and range, errors naming the field.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gavel {

// Parses a request's body: a JSON object, of bounded nesting. Throws ApiError (400).
nlohmann::ordered_json parse_body(std::string_view body);

// The value as an integer: 5.0 is one, too. None where it is no whole number or beyond 64 bits.
std::optional<int64_t> whole_number(const nlohmann::ordered_json& value);

// The fields of one object. A field that is null counts as absent. All throw ApiError (400) for a
// value of another type or outside its range.
class Fields {
 public:
  // `object` must outlive this. `path` comes before the names in errors: "pairs[2].".
  explicit Fields(const nlohmann::ordered_json& object, std::string path = "");

  std::optional<std::string> text(const char* name) const;
  std::string needed_text(const char* name) const;
  std::optional<bool> boolean(const char* name) const;
  std::optional<int64_t> integer(const char* name, int64_t low, int64_t high) const;
  std::optional<double> number(const char* name, double low, double high) const;
  // The value itself; null where there is none.
  const nlohmann::ordered_json* value(const char* name) const;

  std::string path(const char* name) const { return path_ + name; }

 private:
  const nlohmann::ordered_json& object_;
  std::string path_;
};

}  // namespace gavel
