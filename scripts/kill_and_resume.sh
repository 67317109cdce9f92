#!/usr/bin/env bash
# Kills a training run with SIGKILL at random moments, resumes it each time, and compares what it
# ends with, bit for bit, with a run that was left alone.
# usage: scripts/kill_and_resume.sh DATA_DIR [KILLS]      (after ./run build)
set -eu
cd "$(dirname "$0")/.."
data=$1 kills=${2:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
train() {
  build/gavel train --model models/SmolLM2-135M-Instruct.Q4_1.gguf --data "$data" --iters 40 \
    --batch-size 1 --num-layers 4 --save-every 2 --steps-per-report 5 --steps-per-eval 10 \
    --val-batches 1 --learning-rate 1e-3 --seed 3 --adapter-path "$@"
}
train "$work/alone" >"$work/alone.log" 2>&1
done_kills=0
while [ "$done_kills" -lt "$kills" ]; do
  train "$work/killed" --resume >"$work/killed.log" 2>&1 &
  pid=$!
  sleep "$((RANDOM % 2)).$((RANDOM % 10))$((RANDOM % 10))"
  child=$(pgrep -P $pid || echo $pid)
  if kill -9 $child 2>/dev/null; then done_kills=$((done_kills + 1)); fi
  wait $pid 2>/dev/null || true
  if grep -q "damaged\|not a checkpoint\|gavel:" "$work/killed.log"; then
    cat "$work/killed.log"
    exit 1
  fi
done
train "$work/killed" --resume >"$work/killed.log" 2>&1
for f in adapters.safetensors checkpoint.safetensors best/adapters.safetensors; do
  cmp "$work/alone/$f" "$work/killed/$f"
done
same='"event":"\(train\|valid\|best\)"'
diff <(grep "$same" "$work/alone/metrics.jsonl" | sed 's/"\(tokens_per_second\|peak_memory_gb\|seconds\|seconds_left\)":[^,}]*//g') \
     <(grep "$same" "$work/killed/metrics.jsonl" | sed 's/"\(tokens_per_second\|peak_memory_gb\|seconds\|seconds_left\)":[^,}]*//g')
echo "killed $done_kills times: the same adapter, optimizer state and losses, bit for bit"
