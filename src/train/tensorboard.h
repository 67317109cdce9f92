// --report-to tensorboard: the run log's entries as an event file in the run's directory.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/event_file.h"

namespace gavel {

class Tensorboard {
 public:
  // A new file in `folder`. Where resume_after is not negative it goes on with what older files
  // there say up to that step; else they are removed.
  Tensorboard(const std::filesystem::path& folder, int64_t resume_after);
  void write(const nlohmann::ordered_json& entry);

 private:
  EventFile file_;
};

// Whether `names`, comma-separated, say tensorboard; "" says nothing. Throws Error, naming it, for
// any other.
bool reports_to_tensorboard(const std::string& names);

}  // namespace gavel
