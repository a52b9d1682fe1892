#!/bin/sh
# Builds Serenade 0.3.1 into .serenade, for sessions.ts. Needs cargo, a C++ compiler and libclang (Debian: libclang-dev); takes some ten minutes.
set -eu
cd "$(dirname "$0")/../.."
cargo install --locked --version 0.3.1 --root .serenade serenade
