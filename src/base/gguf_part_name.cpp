#include "base/gguf_part_name.h"

#include <fmt/format.h>

#include <cctype>
#include <string_view>

namespace gavel {
namespace fs = std::filesystem;
namespace {

// Five digits at `at`, or -1.
int number_at(const std::string& s, size_t at) {
  int n = 0;
  for (size_t i = at; i < at + 5; ++i) {
    if (!std::isdigit(static_cast<unsigned char>(s[i]))) return -1;
    n = n * 10 + (s[i] - '0');
  }
  return n;
}

}  // namespace

std::optional<GgufPartName> parse_gguf_part_name(const std::string& name) {
  constexpr size_t tail = std::string_view("-00001-of-00003.gguf").size();
  if (name.size() <= tail) return std::nullopt;
  const size_t at = name.size() - tail;
  if (name[at] != '-' || name.compare(at + 6, 4, "-of-") != 0 || !name.ends_with(".gguf"))
    return std::nullopt;
  GgufPartName out{name.substr(0, at), number_at(name, at + 1), number_at(name, at + 10)};
  if (out.part < 1 || out.part > out.count) return std::nullopt;
  return out;
}

std::string gguf_part_name(const GgufPartName& name) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.prefix, name.part, name.count);
}

std::vector<std::string> gguf_part_names(const std::string& file_name) {
  auto name = parse_gguf_part_name(file_name);
  if (!name) return {file_name};
  std::vector<std::string> out;
  for (name->part = 1; name->part <= name->count; ++name->part)
    out.push_back(gguf_part_name(*name));
  return out;
}

std::string gguf_part_prefix(const fs::path& path) {
  if (const auto name = parse_gguf_part_name(path.filename().string())) return name->prefix;
  return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

}  // namespace gavel
