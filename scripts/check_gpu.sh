#!/usr/bin/env bash
# On a machine with an NVIDIA card: builds, tests the operations there against the CPU's kernels (which
# are tested against float64) and the models against torch's goldens, and times training, judging and
# generating against the peers, all in one run, as one table:
#   scripts/check_gpu.sh [--no-peer]
# The peers are installed into .peers-gpu; the model of 7 billion random weights into bench-out/7b.
set -eu
cd "$(dirname "$0")/.."
./run build
cmake -DGAVEL_BENCH=ON build >&2
cmake --build build --target generate_bench >&2
build/gavel devices
failed=0  # the figures are wanted all the same
build/tests/ops_tests --gtest_brief=1 || failed=1
build/tests/generate_tests --gtest_brief=1 --gtest_filter='ForwardOnCard*' || failed=1
build/tests/train_tests --gtest_brief=1 --gtest_filter='ModelGolden*:Trainer*:PlannedRun*' || failed=1
python=.venv/bin/python
peer=()
if [ "${1:-}" != --no-peer ]; then
  [ -e .peers-gpu/bin/python ] || /usr/bin/python3 -m venv .peers-gpu
  .peers-gpu/bin/pip -q install torch transformers peft bitsandbytes liger-kernel numpy \
    "mlx[cuda13]" mlx-lm
  python=.peers-gpu/bin/python
  peer=(--peer-python "$python")
fi
"$python" -c 'import numpy' 2>/dev/null || .venv/bin/pip -q install numpy
if [ ! -e bench-out/7b/config.json ]; then
  mkdir -p bench-out
  build/gavel convert --model models/SmolLM2-135M-Instruct.Q4_1.gguf -q --mlx-path bench-out/tokenizer >&2
  "$python" bench/gpu_model.py bench-out/7b bench-out/tokenizer
fi
[ -e bench-out/small/config.json ] ||
  build/gavel convert --model models/SmolLM2-135M-Instruct.Q4_1.gguf --dequantize --dtype bfloat16 \
    --mlx-path bench-out/small >&2
"$python" bench/gpu.py --gavel build/gavel --model bench-out/7b --small bench-out/small ${peer[@]+"${peer[@]}"}
exit $failed
