#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace gavel {

void log_to_stderr() {
  auto logger = std::make_shared<spdlog::logger>(
      "gavel", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("gavel: %^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace gavel
