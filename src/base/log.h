// Where warnings and notes go.
#pragma once

namespace gavel {

// Sends spdlog's messages to stderr, one line each ("gavel: warning: ..."): its own default is
// stdout, which is for results.
void log_to_stderr();

}  // namespace gavel
