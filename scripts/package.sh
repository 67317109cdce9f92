#!/usr/bin/env bash
# ./run package: a folder and a tar.gz of it that run on a bare Linux with glibc 2.36 or newer:
# bin/gavel, and in lib/gavel every library that is not part of glibc. Needs a finished build.
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
cp LICENSE docs/third-party.md "$stage/share/licenses/gavel/"
ldd "$stage/bin/gavel" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | while read -r soname path; do
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

# The same bits from the same build: names in order, no owner, the commit's time.
time=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -C "$output" -cf - "$name" |
  gzip -9n >"$output/$name.tar.gz.new"
mv "$output/$name.tar.gz.new" "$output/$name.tar.gz"
ls -l "$output/$name.tar.gz" >&2
