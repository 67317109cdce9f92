#!/bin/sh
# Runs tests under AddressSanitizer + UndefinedBehaviorSanitizer, then under ThreadSanitizer.
# Usage: scripts/sanitize.sh [test program...], by default the operations' tests
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- ops_tests
export TSAN_OPTIONS="suppressions=$PWD/cmake/tsan.supp"
for preset in asan tsan; do
  cmake --preset $preset >/dev/null
  cmake --build build-$preset --target "$@"
  for program; do "build-$preset/tests/$program" --gtest_brief=1; done
done
