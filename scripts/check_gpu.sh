#!/usr/bin/env bash
# On a machine with an NVIDIA card: builds, tests the operations there against the CPU's kernels (which
# are tested against float64), and times training against bitsandbytes + Liger, all in one run:
#   scripts/check_gpu.sh [--no-peer]
# The peer is installed into .peers-gpu; the model of 7 billion random weights into bench-out/7b.
set -eu
cd "$(dirname "$0")/.."
./run build
build/gavel devices
build/tests/ops_tests --gtest_brief=1
build/tests/train_tests --gtest_brief=1 --gtest_filter='ModelGolden*:Trainer*:PlannedRun*:Gpu*'
python=.venv/bin/python
peer=()
if [ "${1:-}" != --no-peer ]; then
  [ -e .peers-gpu/bin/python ] || /usr/bin/python3 -m venv .peers-gpu
  .peers-gpu/bin/pip -q install torch transformers peft bitsandbytes liger-kernel numpy
  python=.peers-gpu/bin/python
  peer=(--peer-python "$python")
fi
"$python" -c 'import numpy' 2>/dev/null || .venv/bin/pip -q install numpy
if [ ! -e bench-out/7b/config.json ]; then
  mkdir -p bench-out
  build/gavel convert --model models/SmolLM2-135M-Instruct.Q4_1.gguf -q --mlx-path bench-out/tokenizer >&2
  "$python" bench/gpu_model.py bench-out/7b bench-out/tokenizer
fi
exec "$python" bench/gpu.py --gavel build/gavel --model bench-out/7b ${peer[@]+"${peer[@]}"}
