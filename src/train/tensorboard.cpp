#include "train/tensorboard.h"

#include <unistd.h>

#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/blanks.h"
#include "base/error.h"

namespace gavel {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr std::string_view kBegin = "events.out.tfevents.", kEnd = ".gavel";

// Makes the folder; removes our older files unless they are gone on with.
fs::path new_file(const fs::path& folder, bool resumed) {
  fs::create_directories(folder);
  if (!resumed)
    for (const auto& entry : fs::directory_iterator(folder))
      if (const std::string name = entry.path().filename().string();
          name.starts_with(kBegin) && name.ends_with(kEnd))
        fs::remove(entry.path());
  // Files are read in the order of their names.
  return folder / fmt::format("{}{:010d}.{}{}", kBegin, std::time(nullptr), ::getpid(), kEnd);
}

// Its plain numbers, as event/name.
std::vector<std::pair<std::string, double>> numbers_of(const std::string& group,
                                                       const ordered_json& entry) {
  std::vector<std::pair<std::string, double>> numbers;
  for (const auto& [key, value] : entry.items())
    if (value.is_number() && key != "step" && std::isfinite(value.get<double>()))
      numbers.emplace_back(group + "/" + key, value.get<double>());
  return numbers;
}

std::string plain(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string settings_table(const ordered_json& entry) {
  std::string table = "|setting|value|\n|---|---|\n";
  for (const auto& [key, value] : entry.items())
    if (key != "event") table += fmt::format("|{}|`{}`|\n", key, plain(value));
  return table;
}

// Markdown reads what is indented by four columns as it stands.
std::string quoted(const std::string& text) {
  std::string out = "    ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out + "\n\n";
}

std::string judgements_text(const ordered_json& judgements) {
  std::string out;
  for (const auto& j : judgements) {
    out += quoted(j.value("question", ""));
    out += fmt::format("label **{}**, verdict **{}**\n\n", j.value("label", ""),
                       j.value("verdict", ""));
    out += quoted(j.value("text", ""));
  }
  return out;
}

}  // namespace

Tensorboard::Tensorboard(const fs::path& folder, int64_t resume_after)
    : file_(new_file(folder, resume_after >= 0)) {
  if (resume_after >= 0) file_.restart(resume_after + 1);
}

void Tensorboard::write(const ordered_json& entry) {
  const std::string event = entry.value("event", "");
  const auto step = entry.value("step", int64_t{0});
  if (event == "config") return file_.text(step, "settings", settings_table(entry));
  if (event == "train" || event == "valid") return file_.numbers(step, numbers_of(event, entry));
  if (event != "judged") return;
  file_.numbers(step, numbers_of("judge", entry.value("figures", ordered_json::object())));
  file_.text(step, "judgements", judgements_text(entry.value("judgements", ordered_json::array())));
}

bool reports_to_tensorboard(const std::string& names) {
  bool tensorboard = false;
  for (const std::string_view name : trimmed_pieces(names, ',')) {
    if (name.empty()) continue;
    if (name == "wandb" || name == "swanlab")
      fail(
          "{} is a service, and nothing is sent anywhere here: --report-to tensorboard writes "
          "event "
          "files, and metrics.jsonl holds the run's log",
          name);
    if (name != "tensorboard") fail("{} is not known: there is tensorboard", name);
    tensorboard = true;
  }
  return tensorboard;
}

}  // namespace gavel
