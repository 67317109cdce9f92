#include "data/jsonl.h"

#include <simdjson.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"

namespace gavel {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 64;

// simdjson's value as the same of nlohmann's own parser; false where it nests too deeply.
bool convert(const simdjson::dom::element& from, int depth, Json& to) {
  using Type = simdjson::dom::element_type;
  if (depth > kMaxDepth) return false;
  switch (from.type()) {
    case Type::OBJECT: {
      to = Json::object();
      auto& fields = to.get_ref<Json::object_t&>();
      for (const auto& [key, value] : simdjson::dom::object(from))
        if (!convert(value, depth + 1, fields[std::string(key)])) return false;
      return true;
    }
    case Type::ARRAY: {
      to = Json::array();
      auto& items = to.get_ref<Json::array_t&>();
      for (const simdjson::dom::element value : simdjson::dom::array(from))
        if (!convert(value, depth + 1, items.emplace_back())) return false;
      return true;
    }
    case Type::STRING:
      to = std::string(std::string_view(from));
      return true;
    case Type::INT64: {
      const int64_t value(from);
      to = value < 0 ? Json(value) : Json(static_cast<uint64_t>(value));
      return true;
    }
    case Type::UINT64:
      to = uint64_t(from);
      return true;
    case Type::DOUBLE:
      to = double(from);
      return true;
    case Type::BOOL:
      to = bool(from);
      return true;
    default:
      to = nullptr;
      return true;
  }
}

// By simdjson, several times as fast; nothing for a document that it does not take.
std::optional<Json> parse_fast(std::string_view text) {
  constexpr size_t kMost = size_t{4} << 20;  // larger ones would keep a thread's memory
  if (text.size() > kMost) return std::nullopt;
  static thread_local simdjson::dom::parser parser;
  static thread_local std::string padded;
  padded.assign(text);
  padded.append(simdjson::SIMDJSON_PADDING, '\0');
  simdjson::dom::element root;
  if (parser.parse(padded.data(), text.size(), false).get(root) != simdjson::SUCCESS)
    return std::nullopt;
  std::optional<Json> out(std::in_place);
  if (!convert(root, 0, *out)) return std::nullopt;
  return out;
}

void append(const Json& value, std::string& out) {
  if (value.is_object()) {
    out += '{';
    bool first = true;
    for (const auto& [key, inner] : value.get_ref<const Json::object_t&>()) {
      if (!first) out += ',';
      first = false;
      append_json_text(key, out);
      out += ':';
      append(inner, out);
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ',';
      append(value[i], out);
    }
    out += ']';
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (const auto at = invalid_utf8_at(text))
      fail("invalid UTF-8 at byte {} of a text that is to be written", *at);
    append_json_text(text, out);
  } else {
    out += value.dump();
  }
}

}  // namespace

std::optional<size_t> invalid_utf8_at(std::string_view text) {
  if (simdjson::validate_utf8(text)) return std::nullopt;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t i = 0;
  while (i < text.size()) {
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t length;
    unsigned char low = 0x80, high = 0xBF;  // range of the second byte
    if (lead >= 0xC2 && lead <= 0xDF) {
      length = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;   // overlong
      if (lead == 0xED) high = 0x9F;  // surrogates
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;  // beyond U+10FFFF
    } else {
      return i;
    }
    if (text.size() - i < length) return i;
    if (byte(i + 1) < low || byte(i + 1) > high) return i;
    for (size_t k = 2; k < length; ++k)
      if ((byte(i + k) & 0xC0) != 0x80) return i;
    i += length;
  }
  return std::nullopt;
}

std::string to_line(const nlohmann::ordered_json& value) {
  std::string out;
  append(value, out);
  return out;
}

nlohmann::ordered_json parse_json(std::string_view text) {
  if (auto value = parse_fast(text)) return std::move(*value);
  if (const auto at = invalid_utf8_at(text))
    fail("invalid UTF-8 at byte {} (0x{:02X})", *at, static_cast<unsigned char>(text[*at]));
  const auto bounded = [](int depth, nlohmann::ordered_json::parse_event_t, auto&) {
    if (depth > kMaxDepth) fail("nested deeper than {} levels", kMaxDepth);
    return true;
  };
  try {
    return nlohmann::ordered_json::parse(text, bounded);
  } catch (const nlohmann::json::parse_error& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: reason"
    std::string_view what = e.what();
    // A record's own line 1 would be taken for the file's.
    for (const std::string_view before : {"parse error at line 1, ", "parse error"})
      if (const size_t at = what.find(before); at != std::string_view::npos) {
        what.remove_prefix(before.ends_with(' ') ? at + before.size() : at);
        break;
      }
    fail("bad JSON: {}", what.substr(0, 300));
  } catch (const nlohmann::json::exception& e) {
    fail("bad JSON: {}", e.what());
  }
}

nlohmann::ordered_json parse_record(std::string_view text) {
  try {
    return parse_json(text);
  } catch (const Error&) {
    // Python's json writes these, which are not JSON.
    std::string mended;
    bool in_string = false, changed = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto is = [&](std::string_view word) { return text.substr(i, word.size()) == word; };
      if (!in_string && (is("NaN") || is("Infinity") || is("-Infinity"))) {
        const std::string_view word = is("NaN") ? "NaN" : is("Infinity") ? "Infinity" : "-Infinity";
        mended += word == "NaN" ? "null" : fmt::format("\"{}\"", word);
        i += word.size() - 1;
        changed = true;
        continue;
      }
      if (in_string && text[i] == '\\' && i + 1 < text.size())
        mended += text[i++];
      else if (text[i] == '"')
        in_string = !in_string;
      mended += text[i];
    }
    if (!changed) throw;
    return parse_json(mended);
  }
}

bool is_empty_text(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().empty();
}

const Json& field(const Json& record, const std::string& name) {
  const auto it = record.find(name);
  if (it == record.end()) fail("the field \"{}\" is missing", name);
  return *it;
}

const std::string& string_field(const Json& record, const std::string& name) {
  const Json& value = field(record, name);
  if (!value.is_string())
    fail("the field \"{}\" must be a string and is {}", name, value.type_name());
  return value.get_ref<const std::string&>();
}

std::optional<std::string> text_of(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  return std::nullopt;
}

std::string file_line(const std::filesystem::path& path, int64_t line) {
  return fmt::format("{}:{}", path.string(), line);
}

void for_each_line(std::string_view text,
                   const std::function<void(int64_t, std::string_view)>& visit) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) visit(number, line);
  }
}

}  // namespace gavel
