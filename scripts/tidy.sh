#!/usr/bin/env bash
# Runs clang-tidy 14 with the checks of .clang-tidy, by the compile commands of build/.
# usage: scripts/tidy.sh           the files that differ from main's upstream, or from the last commit
#        scripts/tidy.sh --all     every file of src and apps (an hour on 2 cores)
#        scripts/tidy.sh FILE...
set -eu
cd "$(dirname "$0")/.."
command -v clang-tidy-14 >/dev/null || { echo "tidy: apt-get install clang-tidy-14" >&2; exit 2; }
[ -e build/compile_commands.json ] || { echo "tidy: ./run build first" >&2; exit 2; }
case ${1:-} in
  --all) set -- $(git ls-files 'src/*.cpp' 'apps/*.cpp') ;;
  "") base=$(git rev-parse --verify -q origin/main || git rev-parse HEAD)
    set -- $(git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 'apps/*.cpp'
             git ls-files -o --exclude-standard -- 'src/*.cpp' 'apps/*.cpp') ;;
esac
files=()
for file; do
  # Plugins and platforms that this build leaves out have no commands.
  if grep -q "/$file\"" build/compile_commands.json; then files+=("$file"); fi
done
[ ${#files[@]} -gt 0 ] || { echo "tidy: no changed file" >&2; exit 0; }
# GCC's precompiled headers and warnings mean nothing to clang: the commands are copied without.
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
sed -E 's/-Winvalid-pch //; s/-Wno-restrict //; s/-include [^ ]*cmake_pch\.hxx //' build/compile_commands.json \
  >"$commands/compile_commands.json"
printf '%s\n' "${files[@]}" |
  xargs -P "${TIDY_JOBS:-$(nproc)}" -n 1 clang-tidy-14 -p "$commands" --quiet --warnings-as-errors='*' \
    2> >(grep -v 'warnings\? generated' >&2)
echo "tidy: ${#files[@]} files are clean" >&2
