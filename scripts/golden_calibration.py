#!/usr/bin/env python3
"""Writes tests/golden/calibration.json: log-odds and right or wrong, with what scikit-learn fits to
them: isotonic regression, and logistic regression without a penalty on Platt's targets.
Needs: numpy, scipy, scikit-learn."""
import json
import pathlib

import numpy as np
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression


def platt(x, right):
    """Each example counts as right with the weight of its target, and as wrong with the rest."""
    n1, n0 = right.sum(), (1 - right).sum()
    target = np.where(right == 1, (n1 + 1) / (n1 + 2), 1 / (n0 + 2))
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10000, solver="newton-cholesky")
    model.fit(np.concatenate([x, x])[:, None], np.repeat([1, 0], len(x)), np.concatenate([target, 1 - target]))
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    own = _SigmoidCalibration().fit(x, right)
    assert np.allclose([-own.a_, -own.b_], [slope, intercept], rtol=1e-3), (own.a_, own.b_, slope, intercept)
    return {"slope": slope, "intercept": intercept}


def isotonic(c, right, asked):
    n = len(c)
    model = IsotonicRegression(y_min=1 / (n + 2), y_max=1 - 1 / (n + 2), out_of_bounds="clip").fit(c, right)
    return {"x": model.X_thresholds_.tolist(), "y": model.y_thresholds_.tolist(), "predicted": model.predict(asked).tolist()}


def case(rng, n, digits, slope, intercept):
    c = np.round(rng.beta(3, 1.2, n) * 2 / 3 + 1 / 3, digits).clip(0.34, 0.999)
    x = np.log(c / (1 - c))
    right = (rng.random(n) < expit(slope * x + intercept)).astype(int)
    asked = np.concatenate([[0.1, 1.0], np.round(rng.random(20), 4)])
    return {"confidence": c.tolist(), "right": right.tolist(), "platt": platt(x, right),
            "asked": asked.tolist(), "isotonic": isotonic(c, right, asked)}


def main():
    rng = np.random.default_rng(3)
    out = [case(rng, 120, 4, 0.6, -0.3), case(rng, 60, 2, 1.5, 0.2), case(rng, 12, 3, 0.5, 0.0), case(rng, 20, 3, 9.0, 9.0)]
    assert min(out[-1]["right"]) == 1  # all right: only the targets keep it finite
    path = pathlib.Path(__file__).parent.parent / "tests/golden/calibration.json"
    path.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
