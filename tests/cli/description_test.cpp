#include "cli/description.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gavel {
namespace {

// A program with what is hard to quote in each of the three shells.
struct Program {
  CLI::App app{"does things", "prog"};
  std::string device, file;
  bool flag = false;
  Program() {
    auto* train = app.add_subcommand("train", "train it: don't \"stop\" [ever]");
    train->add_option("-d,--device", device, "cpu or gpu")->check(CLI::IsMember({"cpu", "gpu"}));
    train->add_option("--data", file, "file's name\nor folder")->capture_default_str();
    train->add_flag("--fast", flag, "quick");
    train->footer("Examples:\n  prog train --data x\n.not a request");
    app.add_subcommand("judge", "judge it")->add_option("input", file, "a file");
  }
};

// What bash proposes for the last word of a command line.
std::string bash_proposes(const std::string& script, const std::string& words, int count) {
  const auto folder = std::filesystem::temp_directory_path() / "gavel_completion_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "script")
      << script << "\nCOMP_WORDS=(" << words << ")\nCOMP_CWORD=" << count - 1
      << "\n_prog\necho \"${COMPREPLY[*]}\"\n";
  std::FILE* pipe = ::popen(("bash " + (folder / "script").string()).c_str(), "r");
  std::string out;
  for (char buffer[256]; std::fgets(buffer, sizeof buffer, pipe) != nullptr;) out += buffer;
  ::pclose(pipe);
  return out;
}

TEST(Completion, BashProposesCommandsOptionsAndValues) {
  const Program program;
  const std::string script = completion_script(program.app, "bash");
  EXPECT_EQ(bash_proposes(script, "prog tr", 2), "train\n");
  EXPECT_EQ(bash_proposes(script, "prog train --d", 3), "--device --data\n");
  EXPECT_EQ(bash_proposes(script, "prog train --device c", 4), "cpu\n");
  EXPECT_EQ(bash_proposes(script, "prog train -d g", 4), "gpu\n");
}

TEST(Completion, TextsAreQuotedForZshAndFish) {
  const Program program;
  const std::string zsh = completion_script(program.app, "zsh");
  EXPECT_NE(zsh.find(R"('train:train it\: don'\''t "stop" \[ever\]')"), std::string::npos) << zsh;
  EXPECT_NE(zsh.find("'*--device[cpu or gpu]:TEXT:(cpu gpu)'"), std::string::npos) << zsh;
  EXPECT_NE(zsh.find("'*--fast[quick]' "), std::string::npos) << zsh;
  const std::string fish = completion_script(program.app, "fish");
  EXPECT_NE(fish.find(R"(-a train -d 'train it: don\'t "stop" [ever]')"), std::string::npos)
      << fish;
  EXPECT_NE(fish.find(" -s d -l device -x -a 'cpu gpu' -d 'cpu or gpu'"), std::string::npos);
  EXPECT_NE(fish.find(R"( -l data -r -d 'file\'s name or folder')"), std::string::npos);
  EXPECT_THROW(completion_script(program.app, "tcsh"), UsageError);
}

TEST(ManualPage, HasEveryOptionAndNoTextAsARequest) {
  const Program program;
  const std::string page = manual_page(program.app, "1.2");
  EXPECT_NE(page.find("\\fB\\-d\\fR, \\fB\\-\\-device\\fR cpu|gpu\n"), std::string::npos) << page;
  EXPECT_NE(page.find(".SH prog train\n"), std::string::npos);
  EXPECT_NE(page.find("\n\\&.not a request\n"), std::string::npos);
}

TEST(OptionsJson, SaysWhatIsAFlagAListOrAChoice) {
  Program program;
  std::vector<std::string> list;
  program.app.get_subcommand("judge")->add_option("--adapter", list, "several");
  const auto all = nlohmann::json::parse(options_json(program.app, "1.2"));
  EXPECT_EQ(all["version"], "1.2");
  std::map<std::string, nlohmann::json> options;
  for (const auto& command : all["commands"])
    for (const auto& option : command["options"])
      for (const std::string name : option["names"]) options[name] = option;
  EXPECT_EQ(options["--device"]["values"], nlohmann::json({"cpu", "gpu"}));
  EXPECT_EQ(options["--device"]["several"], false);
  EXPECT_EQ(options["--fast"]["value"], "");
  EXPECT_EQ(options["--adapter"]["several"], true);
}

TEST(Suggestion, IsOfTheCommandThatWasGiven) {
  const Program program;
  EXPECT_EQ(suggestion(program.app, {"trian"}), "Did you mean train?");
  EXPECT_EQ(suggestion(program.app, {"train", "x", "--dvice=cpu"}), "Did you mean --device?");
  EXPECT_EQ(suggestion(program.app, {"judge", "--dvice"}), "");
  EXPECT_EQ(suggestion(program.app, {"train", "--data", "x"}), "");
  EXPECT_EQ(suggestion(program.app, {}), "");
}

}  // namespace
}  // namespace gavel
