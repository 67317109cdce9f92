// A judge's text. The first byte says how the others are read: as the text itself, or as numbers of
// the pieces that judgements are made of, of which exchanging the answers must exchange the
// verdict.
#include "../tests/judge/verdict_cases.h"
#include "fuzz.h"
#include "judge/verdict.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gavel;
  if (size == 0) return 0;
  return fuzz::run([&] {
    if (data[0] % 2 == 0) {
      const std::string_view text = fuzz::text_of(data + 1, size - 1);
      for (const bool thinking : {false, true}) {
        const ParsedVerdict parsed = parse_verdict(text, thinking);
        const bool placed = parsed.label_begin.has_value();
        if (placed && (*parsed.label_begin >= text.size() || parsed.verdict == Verdict::none))
          std::abort();
      }
      return;
    }
    std::string text;
    for (size_t i = 1; i < size && i < 200; ++i)
      text += testing::kPieces[data[i] % std::size(testing::kPieces)];
    const Verdict one = parse_verdict(testing::with_answers(text, true)).verdict;
    const Verdict other = parse_verdict(testing::with_answers(text, false)).verdict;
    if (other != swapped(one)) std::abort();
  });
}
