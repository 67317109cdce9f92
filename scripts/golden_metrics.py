#!/usr/bin/env python3
"""Writes tests/golden/metrics.json: random judgements, and what scikit-learn, scipy and numpy
measure on them. Needs: numpy, scipy, scikit-learn."""
import json
import pathlib

import numpy as np
from scipy import optimize, stats
from sklearn import metrics as sk

NAMES = ["A", "B", "tie", "none"]


def draw(rng, n, skill, classes, none_share):
    """Labels, verdicts in both orders and probabilities of a judge that is overconfident."""
    label = rng.integers(0, classes, n)
    logits = rng.normal(0, 1.2, (n, 3)) + skill * np.eye(3)[label]
    if classes == 2:
        logits[:, 2] -= 3
    p = np.exp(2.5 * logits)
    p /= p.sum(1, keepdims=True)
    p = np.floor(p * 1e6) / 1e6
    p[:, 2] = np.round(1 - p[:, 0] - p[:, 1], 6)
    first = p.argmax(1)
    second = np.where(rng.random(n) < 0.7, first, rng.integers(0, classes, n))
    first = np.where(rng.random(n) < none_share, 3, first)
    second = np.where(rng.random(n) < none_share, 3, second)
    return label, first, second, p


def lean(v, exchanged):
    return np.where(v == 0, 1, np.where(v == 1, -1, 0)) * (-1 if exchanged else 1)


def ece(label, p, bins=10):
    confidence, right = p.max(1), p.argmax(1) == label
    which = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    total = 0
    for b in range(bins):
        inside = which == b
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return total


def scaled(p, t):
    logits = np.log(np.maximum(p, np.finfo(float).eps)) / t
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def length_slope(winner, x):
    """Logistic regression of "A wins" on x, where there is a winner and x is not 0."""
    keep = (winner < 2) & (x != 0)
    x, y = x[keep], (winner[keep] == 0).astype(float)
    if len(x) == 0 or y.min() == y.max():
        return None
    design = np.stack([np.ones_like(x), x], 1)

    def loss(b):
        z = design @ b
        return np.logaddexp(0, z).sum() - y @ z

    def gradient(b):
        return design.T @ (1 / (1 + np.exp(-design @ b)) - y)

    def hessian(b):
        q = 1 / (1 + np.exp(-design @ b))
        return design.T @ (design * (q * (1 - q))[:, None])
    fit = optimize.minimize(loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact",
                            options={"gtol": 1e-12})
    # The minimum of a sum is known to half its digits; the root of its gradient to all of them.
    return float(optimize.root(gradient, fit.x, jac=hessian, tol=1e-15).x[1])


def share(what, of):
    return float(what[of].mean()) if of.any() else None


def of_length(label, first, lengths):
    x = np.log2(lengths[:, 0]) - np.log2(lengths[:, 1])
    longer = np.where(x > 0, 0, np.where(x < 0, 1, 2))
    right, known = first == label, (longer != 2) & (label != 2)
    more, fewer = share(right, known & (label == longer)), share(right, known & (label != longer))
    return {"agreement_longer": more, "agreement_shorter": fewer,
            "agreement_balanced": (more + fewer) / 2,
            "prefers_longer": share(first == longer, (longer != 2) & (first < 2)),
            "length_slope": length_slope(first, x)}, {
                "majority": float(np.bincount(label).max() / len(label)),
                "always_longer": share(label == longer, known),
                "length_slope": length_slope(label, x)}


def measure(label, first, second, p, lengths):
    n = len(label)
    present = [k for k in range(3) if (label == k).any() or (first == k).any()]
    scores = sk.precision_recall_fscore_support(label, first, labels=present, average="macro",
                                                zero_division=0)
    each = sk.precision_recall_fscore_support(label, first, labels=[0, 1, 2], zero_division=0)
    both = (first != 3) & (second != 3)
    side = lean(first, False) + lean(second, True)
    fit = optimize.minimize_scalar(
        lambda log_t: sk.log_loss(label, scaled(p, np.exp(log_t)), labels=[0, 1, 2]),
        bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-9})
    length, baselines = of_length(label, first, lengths)
    values = {
        **length,
        "kappa": sk.cohen_kappa_score(label, first),
        "agreement": sk.accuracy_score(label, first),
        "precision": scores[0], "recall": scores[1], "f1": scores[2],
        "consistency": float(((first == second) & both).mean()),
        "bias_first": float((both & (side > 0)).mean()),
        "bias_second": float((both & (side < 0)).mean()),
        "tie_rate": float((first == 2).mean()),
        "tie_recall": float((first[label == 2] == 2).mean()) if (label == 2).any() else None,
        "agreement_no_tie": float((first == label)[label != 2].mean()),
        "unparsable": float(((first == 3).sum() + (second == 3).sum()) / (2 * n)),
        "ece": ece(label, p),
        "brier": sk.brier_score_loss(label, p, labels=[0, 1, 2], scale_by_half=False),
        "nll": sk.log_loss(label, p, labels=[0, 1, 2]),
    }
    return {
        "values": values,
        "confusion": sk.confusion_matrix(label, first, labels=[0, 1, 2, 3])[:3].tolist(),
        "per_class": [{"precision": each[0][k], "recall": each[1][k], "f1": each[2][k],
                       "specificity": share(first != k, label != k) or 0,
                       "support": int(each[3][k])} for k in range(3)],
        "baselines": baselines,
        "temperature": float(np.exp(fit.x)), "scaled_nll": float(fit.fun),
    }


def case(seed, n, skill, classes, none_share):
    rng = np.random.default_rng(seed)
    label, first, second, p = draw(rng, n, skill, classes, none_share)
    seconds = np.round(rng.gamma(2.0, 0.5, n), 4)
    lengths = rng.integers(1, 40, (n, 2))
    other_verdict = np.where(rng.random(n) < 0.6, first, rng.integers(0, classes, n))
    right, other = first == label, other_verdict == label
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    boot = stats.bootstrap((right.astype(float),), np.mean, n_resamples=9999, method="percentile",
                           rng=np.random.default_rng(1))
    paired = stats.bootstrap((other.astype(float) - right.astype(float),), np.mean,
                             n_resamples=9999, method="percentile", rng=np.random.default_rng(1))
    tests = only_first + only_second
    return {
        "judgements": [[int(a), int(b), int(c), int(d), q[0], q[1], q[2], s, *le] for a, b, c, d, q, s, le
                       in zip(label, first, second, other_verdict, p.tolist(), seconds.tolist(),
                              lengths.tolist())],
        **measure(label, first, second, p, lengths),
        "percentiles": {str(q): float(np.percentile(seconds, q)) for q in (0, 50, 90, 95, 99, 100)},
        "only_first": only_first, "only_second": only_second,
        "mcnemar_p": stats.binomtest(only_first, tests).pvalue if tests else 1.0,
        "agreement_interval": [float(x) for x in boot.confidence_interval],
        "difference_interval": [float(x) for x in paired.confidence_interval],
    }


if __name__ == "__main__":
    cases = [case(1, 160, 1.0, 3, 0.05), case(2, 120, 1.5, 2, 0.0), case(3, 25, 0.3, 3, 0.3)]
    path = pathlib.Path(__file__).parent.parent / "tests/golden/metrics.json"
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
