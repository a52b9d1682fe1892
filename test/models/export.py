"""Makes the small models of this folder, each as its library's users export it, with what the library itself answers for a few rows.

    pip install lightgbm==4.7.0 scikit-learn==1.9.1 skl2onnx==1.20.0 onnxmltools==1.16.0 onnx==1.23.2 torch==2.15.0 onnxscript==0.7.2
    python test/models/export.py && npm run format

Same versions, same seed, same models. `NAME.onnx` and its manifest `NAME.json` are to be taken, `NAME.expected.json` holds rows and answers;
`refused-*.onnx` are mistakes that people make, each exported in earnest.
"""

import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import onnx
import torch
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as LightgbmFloats
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 7
ROWS = 600
EXPECTED_ROWS = 12
HERE = Path(__file__).parent

# In an order of their own: a model names its columns, it need not follow the set.
FRAUD = [
    "merchant_fraud_rate_7d",
    "amount",
    "user_attempts_24h",
    "amount_to_user_mean",
    "is_night",
    "card_attempts_10m",
]
RANK = ["popular", "item_price", "user_category_share"]


def fraud_rows(rng):
    """Made-up payments: fraud is likelier for large, hasty, nightly ones at merchants with a bad name. Some values are missing."""
    x = np.column_stack(
        [
            np.round(rng.beta(1, 20, ROWS), 3),
            np.round(rng.lognormal(3.5, 1, ROWS), 2),
            rng.poisson(2, ROWS) + 1,
            np.round(rng.lognormal(0, 0.6, ROWS), 3),
            rng.integers(0, 2, ROWS),
            rng.poisson(0.5, ROWS) + 1,
        ]
    ).astype(np.float32)
    odds = -4 + 12 * x[:, 0] + 0.01 * x[:, 1] + 0.2 * x[:, 2] + 0.5 * x[:, 3] + 0.8 * x[:, 4] + 0.7 * x[:, 5]
    y = (rng.random(ROWS) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    x[rng.random(ROWS) < 0.2, 0] = np.nan
    x[rng.random(ROWS) < 0.1, 3] = np.nan
    return x, y


def rank_rows(rng):
    x = np.column_stack([rng.random(ROWS), np.round(rng.lognormal(3, 1, ROWS), 2), rng.random(ROWS)]).astype(np.float32)
    y = np.clip(np.round(2 * x[:, 0] + 2 * x[:, 2] + rng.normal(0, 0.4, ROWS)), 0, 3).astype(np.int64)
    x[rng.random(ROWS) < 0.3, 2] = np.nan
    return x, y


def save(name, model):
    """Without the exporter's notes on where its sources lay: they differ on every machine and no runtime reads them."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for info in [*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer]:
        del info.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    # Some exporters keep them in a set, whose order changes from run to run.
    model.opset_import.sort(key=lambda opset: opset.domain)
    onnx.save(model, HERE / f"{name}.onnx")


def expect(name, x, answers):
    rows = [[None if np.isnan(v) else float(v) for v in row] for row in x[:EXPECTED_ROWS]]
    write(f"{name}.expected", {"rows": rows, "answers": [float(a) for a in answers[:EXPECTED_ROWS]]})


def write(name, value):
    (HERE / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


def manifest(name, model, features, **fields):
    write(name, {"format": "gatehouse-model-1", "model": model, "file": f"{name}.onnx", "features": features, **fields})


def medians(x):
    return {name: float(v) for name, v in zip(FRAUD, np.nanmedian(x, axis=0))}


def lightgbm_fraud(x, y):
    model = lgb.LGBMClassifier(n_estimators=20, num_leaves=7, random_state=SEED, n_jobs=1, deterministic=True, verbose=-1).fit(x, y)
    floats = [("rows", LightgbmFloats([None, len(FRAUD)]))]
    save("lightgbm-fraud", convert_lightgbm(model, name="fraud", initial_types=floats, zipmap=False, target_opset=15))
    expect("lightgbm-fraud", x, model.predict_proba(x)[:, 1])
    manifest(
        "lightgbm-fraud", "fraud", FRAUD, output="probabilities", meaning="probability", reference=medians(x), origin="LightGBM, test/models/export.py"
    )


def lightgbm_ranker(x, y):
    model = lgb.LGBMRanker(n_estimators=15, num_leaves=7, random_state=SEED, n_jobs=1, deterministic=True, verbose=-1)
    model.fit(x, y, group=[20] * (ROWS // 20))
    floats = [("rows", LightgbmFloats([None, len(RANK)]))]
    save("lightgbm-ranker", convert_lightgbm(model, name="ranker", initial_types=floats, target_opset=15))
    expect("lightgbm-ranker", x, model.predict(x))
    manifest("lightgbm-ranker", "ranker", RANK, output="variable", meaning="score")


def sklearn_fraud(x, y):
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression()).fit(x, y)
    floats = [("rows", FloatTensorType([None, len(FRAUD)]))]
    plain = {id(model): {"zipmap": False}}
    save("sklearn-fraud", to_onnx(model, initial_types=floats, options=plain, target_opset=18))
    expect("sklearn-fraud", x, model.predict_proba(x)[:, 1])
    manifest("sklearn-fraud", "fraud", FRAUD, input="rows", output="probabilities", column=1, meaning="probability")

    save("refused-zipmap", to_onnx(model, initial_types=floats, target_opset=18))
    save("refused-double", to_onnx(model, initial_types=[("rows", DoubleTensorType([None, len(FRAUD)]))], options=plain, target_opset=18))
    columns = [(name, FloatTensorType([None, 1])) for name in FRAUD]
    save("refused-columns", to_onnx(model, initial_types=columns, options=plain, target_opset=18))
    bare = make_pipeline(StandardScaler(), LogisticRegression()).fit(np.nan_to_num(x), y)
    save("refused-no-imputer", to_onnx(bare, initial_types=floats, options={id(bare): {"zipmap": False}}, target_opset=18))
    future = to_onnx(model, initial_types=floats, options=plain, target_opset=18)
    for opset in future.opset_import:
        opset.version = 99 if opset.domain == "" else opset.version
    save("refused-opset", future)


class Payments(torch.nn.Module):
    """Imputes and standardises inside the graph, so that what is served is what was trained."""

    def __init__(self, x):
        super().__init__()
        self.register_buffer("usual", torch.tensor(np.nanmedian(x, axis=0)))
        filled = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
        self.register_buffer("mean", torch.tensor(filled.mean(axis=0)))
        self.register_buffer("scale", torch.tensor(filled.std(axis=0)))
        self.layers = torch.nn.Sequential(torch.nn.Linear(len(FRAUD), 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

    def forward(self, rows):
        filled = torch.where(torch.isnan(rows), self.usual, rows)
        return self.layers((filled - self.mean) / self.scale)


def torch_fraud(x, y):
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model = Payments(x)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    rows, target = torch.tensor(x), torch.tensor(y, dtype=torch.float32)[:, None]
    for _ in range(150):
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(rows), target).backward()
        optimiser.step()
    model.eval()
    names = {"input_names": ["rows"], "output_names": ["logit"], "external_data": False, "dynamo": True, "verbose": False}
    open_rows = {"rows": {0: torch.export.Dim("n")}}
    save("torch-fraud", torch.onnx.export(model, (rows[:4],), dynamic_shapes=open_rows, **names).model_proto)
    with torch.no_grad():
        expect("torch-fraud", x, model(rows).numpy()[:, 0])
    manifest("torch-fraud", "fraud", FRAUD, output="logit", meaning="log_odds", reference=medians(x))

    save("refused-fixed-rows", torch.onnx.export(model, (rows[:1],), **names).model_proto)
    # What the exporter does with large weights unless it is told otherwise: they are in a second file.
    path = HERE / "refused-external.onnx"
    outside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(onnx.load(HERE / "torch-fraud.onnx"), path, **outside)
    (HERE / "weights.bin").unlink()


if __name__ == "__main__":
    rng = np.random.default_rng(SEED)
    payments = fraud_rows(rng)
    lightgbm_fraud(*payments)
    sklearn_fraud(*payments)
    torch_fraud(*payments)
    lightgbm_ranker(*rank_rows(rng))
