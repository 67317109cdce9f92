#!/usr/bin/env bash
# ./run package: what runs on a Linux with glibc 2.35 or newer, from a finished build:
# - a folder and a tar.gz of it: bin/gavel, and in lib/gavel every library that is not part of glibc;
# - a Python wheel of the same program, which takes libmlx from the mlx-cpu wheel, and one of the
#   small model.
# The same commit gives the same bits, in whatever folder.
# usage: scripts/package.sh [BUILD] [OUTPUT FOLDER]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
output=${2:-dist}
version=$("$build/gavel" --version | sed -n 's/^gavel \([0-9.]*\).*/\1/p')
name=gavel-$version-linux-$(uname -m)
stage=$output/$name
rm -rf "$stage"
mkdir -p "$stage"
cmake --install "$build" --prefix "$stage" --strip >/dev/null

# What ldd finds outside of the bundle, but for glibc's own: those must be the machine's.
mkdir -p "$stage/share/licenses/gavel"
cp LICENSE NOTICE docs/third-party.md "$stage/share/licenses/gavel/"
ldd "$stage/bin/gavel" "$stage/lib/gavel/libgavel.so" "$stage/lib/gavel/mlx/lib/libmlx.so" |
  awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | sort -u | while read -r soname path; do
  case $soname in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | ld-linux*) continue ;;
  esac
  path=$(readlink -f "$path")
  case $path in "$(readlink -f "$stage")"/*) continue ;; esac
  install -m 644 "$path" "$stage/lib/gavel/$soname"
  # The path may be known to the package by the name before /usr was merged.
  package=$(dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}")
  package=${package%%:*}
  cp "/usr/share/doc/$package/copyright" "$stage/share/licenses/gavel/$package"
done
for wheel in .venv/lib/python3*/site-packages/mlx*.dist-info; do
  for file in "$wheel"/LICENSE* "$wheel"/licenses/*; do
    [ -e "$file" ] || continue
    cp "$file" "$stage/share/licenses/gavel/$(basename "${wheel%.dist-info}")-$(basename "$file")"
  done
done
find "$stage" -type d -exec chmod 755 {} +
find "$stage" -type f -exec chmod u=rwX,go=rX {} +

# Names in order, no owner, the commit's time.
time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -C "$output" -cf - "$name" |
  gzip -9n >"$output/$name.tar.gz.new"
mv "$output/$name.tar.gz.new" "$output/$name.tar.gz"
pinned() { sed -n "s/^$1=//p" run; }
model=$(pinned MODEL)
wheels=$(/usr/bin/python3 scripts/make_wheel.py "$stage" "$output" --time "$time" \
  --mlx "$(pinned MLX_VERSION)" --model "$(pinned SMOLLM2_VERSION)" --gguf "$model")
ls -l "$output/$name.tar.gz" $wheels >&2
