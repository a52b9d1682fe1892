#!/bin/sh
# Makes .venv-peers with what the Python services of this folder need. Users of Gatehouse never need it.
set -eu
cd "$(dirname "$0")/../.."
python3 -m venv .venv-peers
.venv-peers/bin/pip install --quiet fastapi==0.165.0 'uvicorn[standard]==0.54.0' lightgbm==4.6.0 numpy==2.4.6 redis==8.1.0 hiredis==3.5.0 implicit==0.7.3 scipy==1.17.1
