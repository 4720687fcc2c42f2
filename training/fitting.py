"""Fits linear models by L-BFGS: logistic with soft labels and one intercept per group, and a softmax with a prior."""

from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import minimize

ROUNDS_MAX = 120
GROUP_PENALTY = 1e-3  # an intercept per source is free: what differs between sources must not become a feature


def fit_logistic(matrix: Any, labels: Any, weights: Any, groups: list[str], penalty: float) -> Any:
    """Return one weight per column; the intercepts of the groups are thrown away."""
    columns = matrix.shape[1]
    both = sparse.hstack([matrix, one_hot(groups)]).tocsr()
    turned = both.T.tocsr()
    penalties = np.concatenate([np.full(columns, penalty), np.full(both.shape[1] - columns, GROUP_PENALTY)])

    def loss(at: Any) -> Any:
        place = both @ at
        surplus = weights * (1 / (1 + np.exp(-place)) - labels)
        value = (weights * (np.logaddexp(0, place) - labels * place)).sum() + 0.5 * (penalties * at * at).sum()
        return value, turned @ surplus + penalties * at

    found = minimize(loss, np.zeros(both.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS_MAX})
    return found.x[:columns]


def fit_softmax(matrix: Any, classes: Any, weights: Any, penalties: Any, prior: Any) -> Any:
    """Return weights of the shape (columns + 1, classes), the last row the intercepts; drawn towards the prior."""
    turned = matrix.T.tocsr()
    columns, count = prior.shape
    wanted = np.zeros((len(classes), count))
    wanted[np.arange(len(classes)), classes] = 1
    each = weights[:, None]

    def loss(flat: Any) -> Any:
        at = flat.reshape(columns + 1, count)
        place = matrix @ at[:columns] + at[columns]
        place -= place.max(1, keepdims=True)
        total = np.exp(place).sum(1, keepdims=True)
        away = at[:columns] - prior
        value = -(each * wanted * (place - np.log(total))).sum() + 0.5 * (penalties * away * away).sum()
        surplus = each * (np.exp(place) / total - wanted)
        return value, np.vstack([turned @ surplus + penalties * away, surplus.sum(0)]).ravel()

    start = np.vstack([prior, np.zeros((1, count))]).ravel()
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2 * ROUNDS_MAX})
    return found.x.reshape(columns + 1, count)


def fit_platt(values: Any, labels: Any, groups: list[str]) -> tuple[float, float]:
    """Return slope and intercept that turn values into probabilities; each group weighs the same."""
    sizes = {group: groups.count(group) for group in sorted(set(groups))}
    weights = np.array([1 / sizes[group] for group in groups])
    design = np.column_stack([values, np.ones(len(values))])

    def loss(at: Any) -> Any:
        place = design @ at
        surplus = weights * (1 / (1 + np.exp(-place)) - labels)
        return (weights * (np.logaddexp(0, place) - labels * place)).sum(), design.T @ surplus

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B")
    return float(found.x[0]), float(found.x[1])


def one_hot(groups: list[str]) -> Any:
    """Return a column per group."""
    places = {group: at for at, group in enumerate(sorted(set(groups)))}
    count = len(groups)
    return sparse.csr_matrix((np.ones(count), (range(count), [places[group] for group in groups])))
