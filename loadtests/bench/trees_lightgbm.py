"""LightGBM on the data that trees.ts wrote; called by it. Arguments: folder, rows, features, held-out rows, trees, leaves, threads."""
import json
import resource
import sys
import time

import lightgbm
import numpy

folder = sys.argv[1]
rows, features, held, trees, leaves, threads = map(int, sys.argv[2:])
train_x = numpy.fromfile(f"{folder}/train.f32", numpy.float32).reshape(rows, features)
train_y = numpy.fromfile(f"{folder}/train-labels.f32", numpy.float32)
held_x = numpy.fromfile(f"{folder}/held.f32", numpy.float32).reshape(held, features)
held_y = numpy.fromfile(f"{folder}/held-labels.f32", numpy.float32)
params = {"objective": "binary", "num_leaves": leaves, "num_threads": threads, "verbose": -1, "seed": 1}
start = time.perf_counter()
cpu = time.process_time()
data = lightgbm.Dataset(train_x, train_y, params=params).construct()
binned = time.perf_counter()
model = lightgbm.train(params, data, trees)
end = time.perf_counter()
used = time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
scores = model.predict(held_x, num_threads=threads)
order = numpy.argsort(scores, kind="stable")
ranks = numpy.empty(held)
ranks[order] = numpy.arange(1, held + 1)
positives = held_y > 0
count = positives.sum()
auc = (ranks[positives].sum() - count * (count + 1) / 2) / (count * (held - count))
print(json.dumps({"binS": binned - start, "trainS": end - binned, "cpuS": used, "auc": auc, "peakMiB": peak, "version": lightgbm.__version__}))
