#!/bin/sh
# Makes .venv-bench with the Python libraries that the benchmarks compare with. Users of Gatehouse never need it.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .venv-bench
.venv-bench/bin/pip install --quiet lightgbm==4.7.0 numpy==2.4.6 implicit==0.7.3 scipy==1.17.1 torch==2.15.0
