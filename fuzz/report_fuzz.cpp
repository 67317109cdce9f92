// The files that a report is made of: a training log, read whole and as it is written, an
// evaluation, its judgements, and a sweep's log. What is read of them is drawn.
#include "fuzz.h"
#include "report/report.h"

namespace {

template <typename Read>
void read(const Read& one) {
  try {
    one();
  } catch (const gavel::Error&) {
  }
}

void draw(const gavel::ReportRun& run) {
  gavel::render_html(std::span(&run, 1), "t");
  gavel::render_markdown(std::span(&run, 1), "t");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  return fuzz::run([&] {
    const auto bytes = fuzz::text_of(data, size);
    // Two looks at a log that grows.
    const auto file = fuzz::as_file(bytes.substr(0, size / 2));
    RunLogFollower follower(file);
    follower.poll();
    fuzz::as_file(bytes);
    follower.poll();
    follower.finish();
    overfitting_onset(follower.history());
    ReportRun run;
    run.name = "run";
    read([&] {
      run.log = read_run_history(file);
      draw(run);
    });
    read([&] {
      run.eval = read_eval(file);
      draw(run);
    });
    read([&] { run.judgements = read_judgements(file, "base", "tuned"); });
    read([&] { run.sweep = read_sweep(file); });
    draw(run);
  });
}
