#include "train/run_log.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/file.h"

namespace gavel {

RunLog::RunLog(const std::filesystem::path& file, int64_t resume_after, int64_t valid_after) {
  std::string kept;
  if (resume_after >= 0 && std::filesystem::exists(file)) {
    std::istringstream lines(read_file(file));
    for (std::string line; std::getline(lines, line);) {
      const auto entry = nlohmann::json::parse(line, nullptr, false);
      if (!entry.is_object()) continue;
      const std::string event = entry.value("event", "");
      if (event == "end") continue;
      const bool valid = event == "valid" || event == "judged" || event == "best";
      if (entry.value("step", int64_t{0}) <= (valid ? valid_after : resume_after))
        kept += line + "\n";
    }
  }
  write_file_atomic(file, kept);
  out_.open(file, std::ios::app | std::ios::binary);
  if (!out_) fail("cannot write {}", file.string());
}

void RunLog::write(const nlohmann::ordered_json& entry) {
  out_ << entry.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  out_.flush();
}

}  // namespace gavel
