// The demo's last step: the judge is asked about a pair like those it learned from, and about one
// that is not, and says how sure it is.
#pragma once

#include <filesystem>
#include <functional>

#include "demo/demo.h"

namespace gavel {

// Fits a temperature, and the confidence from which on at most a tenth of the verdicts are wrong,
// to the judge's verdicts of both orders on the validation pairs (calibration.json beside the
// adapter), and prints the two pairs with its verdicts to stdout. False: interrupted. Throws Error
// as judging does.
bool ask_judge(const DemoOptions& options, const std::filesystem::path& adapter, const DemoSet& set,
               const std::function<bool()>& stop_requested);

}  // namespace gavel
