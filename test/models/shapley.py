"""Makes `shapley.json`: small tree ensembles in the project's own arrays, rows, and the contributions that the `shap` package gives them.

    pip install lightgbm==4.6.0 scikit-learn==1.9.1 shap==0.51.0
    python test/models/shapley.py && npm run format

The boosting of scikit-learn is explained by the package's own TreeSHAP (`tree_path_dependent`); for LightGBM, whose trees have missing values, the
package asks LightGBM's.
"""

import json
from pathlib import Path

import lightgbm as lgb
import numpy as np
import shap
from sklearn.ensemble import GradientBoostingRegressor

SEED = 11
ROWS = 400
EXPLAINED_ROWS = 8
FEATURES = 5


def rows(rng):
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + np.abs(x[:, 2]) - 0.5 * (x[:, 3] > 0.3) + rng.normal(0, 0.1, ROWS)
    return x, y


def arrays(nodes):
    """`nodes`: (feature, threshold, left, right, missing_left, value, cover) from the root, children behind their parents."""
    names = ["feature", "threshold", "left", "right", "missingLeft", "value", "cover"]
    return {name: [node[i] for node in nodes] for i, name in enumerate(names)}


def sklearn_tree(tree, rate):
    return arrays(
        [
            (-1, 0, 0, 0, 0, rate * float(tree.value[i, 0, 0]), float(tree.weighted_n_node_samples[i]))
            if tree.children_left[i] < 0
            else (int(tree.feature[i]), float(tree.threshold[i]), int(tree.children_left[i]), int(tree.children_right[i]), 0, 0, float(tree.weighted_n_node_samples[i]))
            for i in range(tree.node_count)
        ]
    )


def lightgbm_tree(root):
    nodes = []

    def add(node):
        at = len(nodes)
        nodes.append(None)
        if "leaf_value" in node:
            nodes[at] = (-1, 0, 0, 0, 0, node["leaf_value"], node["leaf_count"])
        else:
            left, right = add(node["left_child"]), add(node["right_child"])
            nodes[at] = (node["split_feature"], node["threshold"], left, right, int(node["default_left"]), 0, node["internal_count"])
        return at

    add(root)
    return arrays(nodes)


def case(name, trees, base, explained, values, expected):
    return {
        "name": name,
        "ensemble": {"objective": "regression", "featureCount": FEATURES, "base": base, "trees": trees},
        "rows": [[None if np.isnan(v) else float(v) for v in row] for row in explained],
        "contributions": np.asarray(values).tolist(),
        "expected_value": float(np.ravel(expected)[0]),
    }


def main():
    rng = np.random.default_rng(SEED)
    x, y = rows(rng)
    explained = x[:EXPLAINED_ROWS]

    forest = GradientBoostingRegressor(n_estimators=6, max_depth=4, learning_rate=0.3, random_state=SEED).fit(x, y)
    explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
    cases = [
        case(
            "scikit-learn boosting",
            [sklearn_tree(stage[0].tree_, forest.learning_rate) for stage in forest.estimators_],
            float(forest.init_.constant_[0, 0]),
            explained,
            explainer.shap_values(explained),
            explainer.expected_value,
        )
    ]

    missing = x.copy()
    missing[rng.random(x.shape) < 0.2] = np.nan
    booster = lgb.train(
        {"objective": "regression", "num_leaves": 9, "learning_rate": 0.3, "min_data_in_leaf": 8, "boost_from_average": False, "verbose": -1, "seed": SEED, "num_threads": 1},
        lgb.Dataset(missing, y),
        num_boost_round=6,
    )
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    trees = [lightgbm_tree(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]
    explained = missing[:EXPLAINED_ROWS]
    cases.append(case("LightGBM with missing values", trees, 0, explained, explainer.shap_values(explained), explainer.expected_value))

    (Path(__file__).parent / "shapley.json").write_text(json.dumps(cases))


main()
