// Which files of a data set's repository hold a split: as the README's front matter says (configs),
// else as their names do, by the rules of the datasets library.
#pragma once

#include <string>
#include <vector>

namespace gavel::hub {

// The files of `split` among `files` (all names of the repository), in order of their names.
// `readme` is the text of README.md, "" where there is none; `config` is one that it names, or a
// folder, or "" for the default one. `repo` is what errors call it. Empty where the repository has
// no files that could be read. Throws Error for a config or a split that is not there, naming those
// that are.
std::vector<std::string> data_files(const std::vector<std::string>& files,
                                    const std::string& readme, const std::string& config,
                                    const std::string& split, const std::string& repo);

// The same for the Parquet files that the hub makes: config/split/0000.parquet.
std::vector<std::string> converted_files(const std::vector<std::string>& files,
                                         const std::string& config, const std::string& split,
                                         const std::string& repo);

// Whether all the shards are there that the names tell of: NAME-00000-of-00003.parquet and so on.
// Names that tell nothing say nothing.
bool has_all_shards(const std::vector<std::string>& files);

}  // namespace gavel::hub
