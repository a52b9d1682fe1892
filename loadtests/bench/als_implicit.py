"""`implicit` on the data that als.ts wrote; called by it. Arguments: folder, users, items, iterations, threads, factors, regularization."""
import json
import resource
import sys
import time

import implicit
import numpy
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

folder = sys.argv[1]
users, items, iterations, threads, factors = map(int, sys.argv[2:7])
indptr = numpy.fromfile(f"{folder}/indptr.u32", numpy.int32)
indices = numpy.fromfile(f"{folder}/indices.u32", numpy.int32)
# The confidence itself: als.ts has 1 + alpha value.
values = numpy.fromfile(f"{folder}/values.f32", numpy.float32)
values += 1
rows = csr_matrix((values, indices, indptr), shape=(users, items))
model = AlternatingLeastSquares(factors=factors, regularization=float(sys.argv[7]), iterations=iterations, num_threads=threads, random_state=1)
seconds = []
cpu = time.process_time()
model.fit(rows, show_progress=False, callback=lambda iteration, elapsed, loss: seconds.append(elapsed))
used = time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
model.user_factors.astype(numpy.float32).tofile(f"{folder}/users.f32")
model.item_factors.astype(numpy.float32).tofile(f"{folder}/items.f32")
print(json.dumps({"iterationS": seconds, "cpuS": used, "peakMiB": peak, "version": implicit.__version__}))
