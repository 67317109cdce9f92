// gavel devices.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "options.h"

namespace gavel {
namespace {

void print(const std::vector<DeviceInfo>& devices) {
  for (const auto& d : devices) {
    std::string memory;
    if (d.memory > 0) memory = fmt::format("{:.1f} GB", static_cast<double>(d.memory) / 1e9);
    if (d.free > 0) memory += fmt::format(", {:.1f} free", static_cast<double>(d.free) / 1e9);
    fmt::print("{} {:4} {}  ({}; {})\n", d.chosen ? "*" : " ", d.kind, d.name, d.detail, memory);
  }
}

void print_json(const std::vector<DeviceInfo>& devices) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& d : devices)
    list.push_back({{"kind", d.kind},
                    {"name", d.name},
                    {"detail", d.detail},
                    {"memory_bytes", d.memory},
                    {"free_bytes", d.free},
                    {"chosen", d.chosen}});
  fmt::print("{}\n", list.dump(2));
}

}  // namespace

void add_devices_command(CLI::App& app) {
  auto* c = app.add_subcommand("devices", "what there is to compute on, and what is used");
  auto json = std::make_shared<bool>(false);
  add_json_flag(*c, *json, "a JSON list");
  c->footer(
      "The one marked * is used where --device does not say otherwise.\n"
      "Examples:\n"
      "  gavel devices\n"
      "  GAVEL_DEVICE=cpu gavel devices --json");
  c->callback([json] { *json ? print_json(list_devices()) : print(list_devices()); });
}

}  // namespace gavel
