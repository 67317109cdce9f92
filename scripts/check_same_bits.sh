#!/usr/bin/env bash
# Whether two builds of one commit give the same bits: installs both stripped and compares every file
# of the program (bin and lib/gavel). With one argument the other build is made first, from a clone in a
# temporary folder (some 5 minutes of two cores).
# usage: scripts/check_same_bits.sh BUILD [OTHER BUILD]
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
other=${2:-}
if [ -z "$other" ]; then
  git clone -q . "$folder/some-other-place"
  ln -s "$PWD/.venv" "$PWD/models" "$folder/some-other-place/"
  (cd "$folder/some-other-place" && CCACHE_DISABLE=1 ./run build)
  other=$folder/some-other-place/build
fi
for build in "$1" "$other"; do
  "$build/gavel" --version
  cmake --install "$build" --prefix "$folder/installed" --strip >/dev/null
  # Without what is fetched, which is the same file anyway.
  (cd "$folder/installed" && find bin lib/gavel share -type f ! -path '*/mlx*' -exec sha256sum {} + | sort -k 2) \
    >"$folder/$(basename "$(dirname "$(realpath "$build")")").sums"
  rm -rf "$folder/installed"
done
set -- "$folder"/*.sums
if [ $# -ne 2 ]; then echo "both builds lie in folders of the same name" >&2; exit 1; fi
diff "$1" "$2" && echo "the same bits: $(wc -l <"$1") files"
