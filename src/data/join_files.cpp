#include "data/join_files.h"

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/jsonl.h"
#include "data/raw_records.h"

namespace gavel {

void join_files(const std::vector<std::filesystem::path>& files, const std::filesystem::path& out) {
  constexpr size_t kMaxRecord = size_t{64} << 20;
  Progress progress("Joining " + std::to_string(files.size()) + " files",
                    static_cast<int64_t>(files.size()), "files");
  write_file_atomic(out, [&](std::ostream& to) {
    for (size_t i = 0; i < files.size(); ++i) {
      RecordReader reader(files[i], kMaxRecord);
      for (auto records = reader.next(1024); !records.empty(); records = reader.next(1024))
        for (const RawRecord& record : records) try {
            to << to_line(reader.object(record)) << '\n';
          } catch (const RecordFault& fault) {
            fail("{}: {}: {}", file_line(files[i], record.line), fault.kind, fault.detail);
          }
      progress.update(static_cast<int64_t>(i + 1));
    }
  });
  progress.finish();
}

}  // namespace gavel
