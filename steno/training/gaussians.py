"""Mixtures of Gaussians with diagonal covariances, one mixture a state, as hidden Markov models use them."""

import math

import torch
from torch import Tensor

_LEAST_VARIANCE = 0.02
_LEAST_SHARE = 1e-5
_APART = 0.2
"""How far the halves of a Gaussian that is split lie from it, in standard deviations."""
_AT_A_TIME = 20_000


class Mixtures:
    """Gaussians over feature vectors (F,) of zero mean and unit variance: K of them in each of S states.

    Source: Young et al., "The HTK Book", 2006, chapters 7 and 8.
    """

    def __init__(self, states: int, size: int) -> None:
        self._means_skf = torch.zeros(states, 1, size)
        self._variances_skf = torch.ones(states, 1, size)
        self._log_shares_sk = torch.zeros(states, 1)

    def split(self) -> None:
        """Make two of each Gaussian."""
        apart_skf = _APART * self._variances_skf.sqrt()
        self._means_skf = torch.cat([self._means_skf - apart_skf, self._means_skf + apart_skf], dim=1)
        self._variances_skf = self._variances_skf.repeat(1, 2, 1)
        self._log_shares_sk = self._log_shares_sk.repeat(1, 2) - math.log(2)

    def fit(self, features_nf: Tensor, states_n: Tensor) -> None:
        """One step of expectation and maximisation on feature vectors whose states are known.

        A state without a vector stays as it is.
        """
        order_n = states_n.argsort()
        counts = states_n.bincount(minlength=len(self._means_skf)).tolist()
        for state, own_nf in enumerate(features_nf[order_n].split(counts)):
            if not len(own_nf):
                continue
            mean_kf, variance_kf = self._means_skf[state], self._variances_skf[state]
            shares_nk = self._log_likelihoods(own_nf, mean_kf, variance_kf, self._log_shares_sk[state]).softmax(dim=1)
            weight_k1 = shares_nk.sum(dim=0)[:, None] + _LEAST_SHARE
            mean_kf = shares_nk.T @ own_nf / weight_k1
            variance_kf = shares_nk.T @ own_nf.square() / weight_k1 - mean_kf.square()
            self._means_skf[state], self._variances_skf[state] = mean_kf, variance_kf.clamp(min=_LEAST_VARIANCE)
            self._log_shares_sk[state] = (weight_k1[:, 0] / weight_k1.sum()).log()

    def log_likelihoods(self, features_nf: Tensor) -> Tensor:
        """ln of the density of each vector (N, F) in each state: (N, S)."""
        means_kf, variances_kf = self._means_skf.flatten(0, 1), self._variances_skf.flatten(0, 1)
        log_shares_k = self._log_shares_sk.flatten()
        parts = [
            self._log_likelihoods(part_nf, means_kf, variances_kf, log_shares_k)
            .unflatten(1, self._log_shares_sk.shape)
            .logsumexp(dim=2)
            for part_nf in features_nf.split(_AT_A_TIME)
        ]
        return torch.cat(parts)

    @staticmethod
    def _log_likelihoods(features_nf: Tensor, means_kf: Tensor, variances_kf: Tensor, log_shares_k: Tensor) -> Tensor:
        """Of each vector in each of K Gaussians, with their shares: (N, K)."""
        constant_k = (means_kf.square() / variances_kf + variances_kf.log() + math.log(2 * math.pi)).sum(dim=1)
        linear_nk = features_nf @ (means_kf / variances_kf).T
        square_nk = features_nf.square() @ variances_kf.reciprocal().T
        return log_shares_k - 0.5 * (constant_k + square_nk) + linear_nk
