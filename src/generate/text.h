// `gavel generate` and `gavel chat` as library calls.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "generate/session.h"

namespace gavel {

struct GenerateRequest {
  std::string model, adapter_path, chat_template, prompt, system;
  std::vector<std::string> stops;
  GenerateOptions options;
  bool raw = false;   // no chat template
  bool json = false;  // one JSON object on stdout
  DeviceOptions device;
};

// Streams the text to stdout, the speeds to stderr.
void run_generate(const GenerateRequest& request);
// Reads turns from stdin until an empty line or the end.
void run_chat(const GenerateRequest& request, const std::function<bool()>& interrupted);

}  // namespace gavel
