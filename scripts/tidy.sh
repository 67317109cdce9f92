#!/usr/bin/env bash
# Runs clang-tidy 14 with the checks of .clang-tidy, by the compile commands of build-tidy/.
# usage: scripts/tidy.sh           the files that differ from main's upstream, or from the last commit
#        scripts/tidy.sh --all     every file of src and apps (an hour on 2 cores)
#        scripts/tidy.sh FILE...
set -eu
cd "$(dirname "$0")/.."
command -v clang-tidy-14 >/dev/null || { echo "tidy: apt-get install clang-tidy-14" >&2; exit 2; }
# A command for each file, and none of GCC's precompiled headers, which mean nothing to clang.
cmake -S . -B build-tidy -G Ninja -DGAVEL_UNITY=OFF -DGAVEL_PCH=OFF -DGAVEL_TESTS=OFF >/dev/null
cmake --build build-tidy --target gavel_commit >/dev/null
case ${1:-} in
  --all) set -- $(git ls-files 'src/*.cpp' 'apps/*.cpp') ;;
  "") base=$(git rev-parse --verify -q origin/main || git rev-parse HEAD)
    set -- $(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 'apps/*.cpp'
             git ls-files -o --exclude-standard -- 'src/*.cpp' 'apps/*.cpp') ;;
esac
files=()
for file; do
  # Plugins and platforms that this build leaves out have no commands.
  if grep -q "/$file\"" build-tidy/compile_commands.json; then files+=("$file"); fi
done
[ ${#files[@]} -gt 0 ] || { echo "tidy: no changed file" >&2; exit 0; }
printf '%s\n' "${files[@]}" |
  xargs -P "${TIDY_JOBS:-$(nproc)}" -n 1 clang-tidy-14 -p build-tidy --quiet --warnings-as-errors='*' \
    --extra-arg=-Wno-unknown-warning-option \
    2> >(grep -v 'warnings\? generated' >&2)
echo "tidy: ${#files[@]} files are clean" >&2
