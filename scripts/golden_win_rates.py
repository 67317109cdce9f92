#!/usr/bin/env python3
"""Writes tests/golden/win_rates.json: verdicts on pairs of models, with Bradley-Terry scores as
scikit-learn's logistic regression finds them, and length-controlled win rates by statsmodels' GLM.
Needs: numpy, scipy, scikit-learn, statsmodels."""
import json
import pathlib

import numpy as np
import statsmodels.api as sm
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


def bradley_terry(pairs, models):
    """Every pair twice, as won and as lost, with the verdict's worth as weight."""
    x, y, weight = [], [], []
    for a, b, worth, _ in pairs:
        row = np.zeros(models)
        row[a], row[b] = 1, -1
        for won, w in ((1, worth), (0, 1 - worth)):
            if w > 0:
                x.append(row)
                y.append(won)
                weight.append(w)
    model = LogisticRegression(C=1e12, fit_intercept=False, tol=1e-14, max_iter=100000, solver="lbfgs")
    model.fit(np.array(x), np.array(y), np.array(weight))
    score = model.coef_[0] - model.coef_[0].mean()
    return (1000 + 400 / np.log(10) * score).tolist()


def length_controlled(pairs, model):
    worth, longer = [], []
    for a, b, w, d in pairs:
        if model in (a, b):
            worth.append(w if model == a else 1 - w)
            longer.append(d if model == a else -d)
    longer = np.array(longer, float)
    x = sm.add_constant(np.tanh(longer / longer.std(ddof=1)))
    fit = sm.GLM(np.array(worth), x, family=sm.families.Binomial()).fit(tol=1e-12)
    return float(expit(fit.params[0]))


def main():
    rng = np.random.default_rng(11)
    models = 4
    strength = np.array([0.8, 0.2, -0.1, -0.9])
    pairs = []
    for _ in range(300):
        a, b = (int(m) for m in rng.choice(models, 2, replace=False))
        longer = int(rng.normal(60 * (strength[a] - strength[b]), 200))
        p = expit(strength[a] - strength[b] + 0.8 * np.tanh(longer / 200))
        worth = 0.5 if rng.random() < 0.1 else float(rng.random() < p)
        pairs.append((a, b, worth, longer))
    out = {"pairs": pairs, "bradley_terry": bradley_terry(pairs, models),
           "length_controlled": [length_controlled(pairs, m) for m in range(models)]}
    path = pathlib.Path(__file__).parent.parent / "tests/golden/win_rates.json"
    path.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
