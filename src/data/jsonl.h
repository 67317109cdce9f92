// Line-by-line reading of data files that may be large or broken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace gavel {

// Byte offset of the first byte that is not UTF-8 (overlong forms and surrogates included).
std::optional<size_t> invalid_utf8_at(std::string_view text);

// Parses one JSON document with a bound on its nesting. Throws Error with the parser's reason
// alone; the caller adds file and line.
nlohmann::ordered_json parse_json(std::string_view text);

// The JSON of a record; NaN, as Python writes it, is null, and its Infinity the text "Infinity".
// Throws Error as parse_json does.
nlohmann::ordered_json parse_record(std::string_view text);

// A value on one line, as its dump() has it but several times as fast. Throws Error for text that
// is not UTF-8.
std::string to_line(const nlohmann::ordered_json& value);

bool is_empty_text(const nlohmann::ordered_json& value);  // ""

// A value that is text, or a number, which data often has where text is meant. Nothing for others.
std::optional<std::string> text_of(const nlohmann::ordered_json& value);

// A field of an object, and one that must be text. Throws Error where it is missing or another
// type.
const nlohmann::ordered_json& field(const nlohmann::ordered_json& record, const std::string& name);
const std::string& string_field(const nlohmann::ordered_json& record, const std::string& name);

// "file:line", as errors name a place.
std::string file_line(const std::filesystem::path& path, int64_t line);

// Calls visit(line number from 1, line without its end) for each line that is not blank. A UTF-8
// byte order mark at the start is skipped. The lines stay valid only during the call.
void for_each_line(std::string_view text,
                   const std::function<void(int64_t line, std::string_view text)>& visit);

}  // namespace gavel
