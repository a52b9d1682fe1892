#!/bin/sh
# Builds the evaluator of Serenade 0.3.1 into .serenade, for sessions.ts. Needs cargo and a C compiler. What it does not use is left out: the server, and with it
# RocksDB, which takes longer to compile than all the rest. The search is as it was published; of the evaluator one line is mended: it asks its digest, which
# takes shares from 0 to 1, for the quantile 50, and so prints the slowest prediction as every percentile.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p .serenade/fetch/src .serenade/bin
printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nserenade = "=0.3.1"\n[workspace]\n' > .serenade/fetch/Cargo.toml
: > .serenade/fetch/src/lib.rs
cargo fetch --manifest-path .serenade/fetch/Cargo.toml
source=$(cargo metadata --offline --format-version 1 --manifest-path .serenade/fetch/Cargo.toml |
  node -p 'JSON.parse(require("fs").readFileSync(0)).packages.find(({ name }) => name === "serenade").manifest_path.replace(/Cargo.toml$/, "")')
rm -rf .serenade/source
cp -r "$source" .serenade/source
cd .serenade/source
rm -rf src/bin/serving.rs src/sessions src/endpoints benches
node -e '
const { readFileSync, writeFileSync } = require("node:fs");
const change = (path, ...cuts) => writeFileSync(path, cuts.reduce((text, cut) => text.replace(cut, ""), readFileSync(path, "utf8")));
change("Cargo.toml", /\[\[bin\]\]\nname = "serving"\n.*\n/, /\[dependencies\.rocksdb\]\n(.+\n)+/, /\[\[bench\]\]\n(.+\n)+/g);
change("src/lib.rs", /pub mod sessions;\n/, /pub mod endpoints;\n/);
const watch = readFileSync("src/stopwatch.rs", "utf8");
writeFileSync("src/stopwatch.rs", watch.replace("estimate_quantile(q)", "estimate_quantile(q / 100.0)"));
change("src/dataframeutils.rs", /use crate::sessions::RocksDBSessionStore;\n/, /.*Arc<RocksDBSessionStore>,\n/);
'
printf '[workspace]\n' >> Cargo.toml
cargo build --release --bin evaluator --target-dir ../target
cp ../target/release/evaluator ../bin/evaluator
