"""Two source models, or two stores, against each other: every row with both kinds of interval and a verdict."""

from medtransfer.reports.comparison.model_comparison import compare_models
from medtransfer.reports.comparison.records import ComparedRow, MissingRow, ModelComparison
from medtransfer.reports.comparison.selection import Selection

__all__ = ["ComparedRow", "MissingRow", "ModelComparison", "Selection", "compare_models"]
