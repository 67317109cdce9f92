#include "data/jsonl.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gavel {

namespace {
constexpr int kMaxDepth = 64;
}

std::optional<size_t> invalid_utf8_at(std::string_view text) {
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

nlohmann::ordered_json parse_json(std::string_view text) {
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
