#!/usr/bin/env python3
"""Writes tests/golden/score_metrics.json: random scores of two raters and votes of several people,
and what scikit-learn, scipy and the krippendorff package measure on them.
Needs: numpy, scipy, scikit-learn, krippendorff."""
import json
import pathlib

import krippendorff
import numpy as np
from scipy import stats
from sklearn import metrics as sk


def number(value):
    return None if not np.isfinite(value) else float(value)


def scores(rng, n, low, high, noise):
    """A person's integers, and a judge's: one rounded, one as expectations."""
    person = rng.integers(low, high + 1, n)
    expected = np.round(np.clip(person + rng.normal(0, noise, n), low, high), 3)
    rounded = np.rint(expected).astype(int)
    kappa = {name: number(sk.cohen_kappa_score(person, rounded, weights=name if name != "none" else None,
                                               labels=list(range(low, high + 1))))
             for name in ("none", "linear", "quadratic")}
    return {"person": person.tolist(), "rounded": rounded.tolist(), "expected": expected.tolist(),
            "kappa": kappa,
            "spearman": number(stats.spearmanr(person, expected).statistic),
            "kendall": number(stats.kendalltau(person, expected).statistic),
            "kendall_rounded": number(stats.kendalltau(person, rounded).statistic),
            "mae": float(np.abs(person - expected).mean())}


def people(rng, annotators, n, values, missing):
    truth = rng.integers(0, values, n)
    table = np.where(rng.random((annotators, n)) < 0.6, truth, rng.integers(0, values, (annotators, n))).astype(float)
    table[rng.random(table.shape) < missing] = np.nan
    units = [[v for v in column if np.isfinite(v)] for column in table.T]
    return {"units": units,
            "alpha": {level: number(krippendorff.alpha(table, level_of_measurement=level))
                      for level in ("nominal", "ordinal", "interval")}}


def passes(rng, n):
    label, verdict = rng.integers(0, 2, n), rng.integers(0, 2, n)
    return {"label": label.tolist(), "verdict": verdict.tolist(),
            "tpr": float(sk.recall_score(label, verdict)),
            "tnr": float(sk.recall_score(label, verdict, pos_label=0))}


def main():
    rng = np.random.default_rng(7)
    out = {"scores": [scores(rng, n, *scale, noise)
                      for n, scale, noise in ((200, (1, 5), 1.0), (60, (0, 10), 3.0), (15, (1, 3), 0.4))],
           "people": [people(rng, *case) for case in ((3, 100, 3, 0), (5, 40, 5, 0.3), (2, 30, 2, 0.1))],
           "passes": [passes(rng, 50)]}
    path = pathlib.Path(__file__).parent.parent / "tests/golden/score_metrics.json"
    path.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
