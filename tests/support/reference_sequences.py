"""Layers of forks for text recognition, in float64, step by step."""

from __future__ import annotations

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, weight_x: np.ndarray, weight_h: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(T, N, ...) to (T, N, D); blocks of rows for input, forget and output gates, then candidates."""
    steps, items = x.shape[:2]
    size = len(bias) // 4
    hidden, cell = np.zeros((items, size)), np.zeros((items, size))
    y = np.zeros((steps, items, size))
    for t in range(steps):
        gates = x[t].reshape(items, -1) @ weight_x.T + hidden @ weight_h.T + bias
        i, f, o = (sigmoid(gates[:, k * size : (k + 1) * size]) for k in range(3))
        cell = f * cell + i * np.tanh(gates[:, 3 * size :])
        hidden = o * np.tanh(cell)
        y[t] = hidden
    return y


def ctc_greedy(
    x: np.ndarray, indicators: np.ndarray, blank: int, merge: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(classes (N, T, 1, 1), minus their summed values (N, 1, 1, 1)) of the first sequence of each item."""
    steps, items, classes = x.shape
    texts, scores = np.full((items, steps, 1, 1), -1.0), np.zeros((items, 1, 1, 1))
    for n in range(items):
        text: list[int] = []
        before = -1
        for t in range(steps):
            if t > 0 and indicators[t, n] == 0:
                break
            best = int(np.argmax(x[t, n]))
            scores[n] -= x[t, n, best]
            if best != blank % classes and not (merge and best == before):
                text.append(best)
            before = best
        texts[n, : len(text), 0, 0] = text
    return texts, scores
