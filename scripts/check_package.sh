#!/usr/bin/env bash
# Checks the bundle of `./run package` where nothing is installed: in bare roots of Debian 12 and
# Ubuntu 24.04 (made by mmdebstrap, minbase) it is unpacked, and there runs --version, doctor, a short
# demo, a served request, an export and the exported model. Needs root, mmdebstrap, curl, the model.
# usage: scripts/check_package.sh [BUNDLE.tar.gz] [FOLDER for the roots]
set -eu
cd "$(dirname "$0")/.."
bundle=${1:-$(ls -t dist/gavel-*-linux-*.tar.gz | head -n 1)}
roots=${2:-/var/tmp/gavel-roots}
name=$(basename "$bundle" .tar.gz)
model=models/SmolLM2-135M-Instruct.Q4_1.gguf
port=8461

say() { echo "check_package: $*" >&2; }

make_root() {
  mkdir -p "$roots"
  case $1 in
    debian12) mmdebstrap --quiet --variant=minbase bookworm "$roots/$1" http://deb.debian.org/debian ;;
    # Debian has no keyring of Ubuntu's; nothing of this root leaves the check.
    ubuntu2404)
      mmdebstrap --quiet --variant=minbase noble "$roots/$1" \
        "deb [trusted=yes] http://archive.ubuntu.com/ubuntu noble main" ;;
  esac
}

# In a mount namespace of its own: /proc, and the folder to work in, are gone when it ends.
inside() {
  local root=$1
  shift
  unshare --mount bash -c 'mount -t proc proc "$0/proc"; mount -t tmpfs tmpfs "$0/dev"
    mknod -m 666 "$0/dev/null" c 1 3; mknod -m 666 "$0/dev/urandom" c 1 9
    exec env -i HOME=/root PATH=/opt/gavel/bin:/usr/bin:/bin LANG=C.UTF-8 /usr/sbin/chroot "$0" bash -c "cd /work; $*"' \
    "$root" "$@"
}

check() {
  local root=$roots/$1 server
  [ -e "$root/etc/os-release" ] || make_root "$1"
  say "$1: $(sed -n 's/^PRETTY_NAME=//p' "$root/etc/os-release")"
  rm -rf "$root/opt/gavel" "$root/work"
  mkdir -p "$root/opt/gavel" "$root/work"
  tar -xzf "$bundle" -C "$root/opt/gavel" --strip-components=1
  cp -L "$model" "$root/work/model.gguf"
  inside "$root" gavel --version
  inside "$root" gavel doctor
  inside "$root" gavel demo --model model.gguf --iters 4 --test-pairs 2 --output demo
  inside "$root" 'echo $$ >server; exec gavel serve --model model.gguf --adapter judge=demo/judge/best --port '$port &
  server=$!
  curl -sf --retry 30 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/v1/judge" \
    -H 'Content-Type: application/json' \
    -d '{"question": "2 + 2?", "answer_a": "4", "answer_b": "5", "mode": "verdict"}' | grep -o '"verdict":"[^"]*"' | head -n 1
  kill "$(cat "$root/work/server")"
  wait $server
  inside "$root" gavel export --model model.gguf --adapter-path demo/judge/best --gguf judge.gguf
  inside "$root" gavel generate --model judge.gguf --prompt Hello --max-tokens 4
  say "$1: the bundle runs"
}

for root in debian12 ubuntu2404; do check $root; done
