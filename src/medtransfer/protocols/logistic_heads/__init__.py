"""L2-regularised logistic regression for whole grids of strengths, at scikit-learn's optimum."""

from medtransfer.protocols.logistic_heads.fit_heads import HeadFit, LogisticHeads, fit_heads

__all__ = ["HeadFit", "LogisticHeads", "fit_heads"]
