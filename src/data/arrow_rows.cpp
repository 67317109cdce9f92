#include "data/arrow_rows.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "arrow_plugin/arrow_rows.h"
#include "base/error.h"
#include "base/system.h"

namespace gavel {
namespace {

using namespace std::string_view_literals;

constexpr const char* kLibrary = GAVEL_LIBRARY("gavel_arrow");

struct Library {
  decltype(&gavel_arrow_open) open = nullptr;
  decltype(&gavel_arrow_next) next = nullptr;
  decltype(&gavel_arrow_close) close = nullptr;
  std::string problem;  // why it is not there
};

// Beside the program, where the build puts it, above it, where tests find it, and where programs
// are installed.
std::array<std::filesystem::path, 3> places() {
  Dl_info program{};
  std::filesystem::path folder = program_folder();
  if (folder.empty() && ::dladdr(reinterpret_cast<const void*>(&places), &program) != 0)
    folder = std::filesystem::path(program.dli_fname).parent_path();
  return {folder, folder.parent_path(), folder.parent_path() / "lib"};
}

Library load() {
  Library out;
  void* library = nullptr;
  for (const auto& folder : places()) {
    std::error_code ec;
    if (!std::filesystem::exists(folder / kLibrary, ec)) continue;
    library = ::dlopen((folder / kLibrary).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    out.problem = ::dlerror();
  }
  const auto find = [&](auto& function, const char* name) {
    if (library != nullptr)
      function = reinterpret_cast<std::decay_t<decltype(function)>>(::dlsym(library, name));
  };
  find(out.open, "gavel_arrow_open");
  find(out.next, "gavel_arrow_next");
  find(out.close, "gavel_arrow_close");
  return out;
}

const Library& library_for(const std::string& name) {
  static const Library library = load();
  if (library.open == nullptr || library.next == nullptr || library.close == nullptr)
    fail(
        "{}, which is read with Apache Arrow, and that is not here{}: ./run arrow brings it (60 "
        "MB), or save "
        "the rows as JSON lines (in Python: pandas.read_parquet(...).to_json(\"rows.jsonl\", "
        "orient=\"records\", lines=True))",
        name, library.problem.empty() ? "" : " (" + library.problem + ")");
  return library;
}

GavelArrowRows* rows_of(void* rows) { return static_cast<GavelArrowRows*>(rows); }

}  // namespace

std::string_view arrow_kind(std::string_view head) {
  if (head.starts_with("PAR1")) return "a Parquet file";
  if (head.starts_with("ARROW1")) return "an Arrow file";
  if (head.starts_with("\xFF\xFF\xFF\xFF"sv)) return "an Arrow stream";
  return {};
}

ArrowRows::ArrowRows(const std::filesystem::path& path, std::string_view kind)
    : name_(fmt::format("{} is {}", path.string(), kind)) {
  char error[512] = "";
  rows_ = library_for(name_).open(path.c_str(), error, sizeof error);
  if (rows_ == nullptr) fail("{} that cannot be read: {}", name_, error);
}

ArrowRows::~ArrowRows() {
  if (rows_ != nullptr) library_for(name_).close(rows_of(rows_));
}

size_t ArrowRows::read(char* out, size_t size) {
  if (text_.empty()) {
    const char* text = nullptr;
    size_t length = 0;
    int64_t done = 0, total = 0;
    char error[512] = "";
    if (library_for(name_).next(rows_of(rows_), &text, &length, &done, &total, error,
                                sizeof error) != 0)
      fail("{} that cannot be read: {}", name_, error);
    text_ = {text, length};
    share_ = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  }
  const size_t n = std::min(size, text_.size());
  std::memcpy(out, text_.data(), n);
  text_.remove_prefix(n);
  return n;
}

}  // namespace gavel
