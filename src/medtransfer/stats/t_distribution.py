"""Student's t distribution for single values: what ``scipy.stats.t`` computes, without its handling of arrays.

Reports test tens of thousands of pairs; the general interface takes sixty times as long for one value.
"""

from __future__ import annotations

from scipy import special


def t_below(t: float, df: float) -> float:
    """Return the probability of a value of at most ``t`` with ``df`` degrees of freedom, df > 0.

    Example:
        >>> t_below(0.0, 3.5)
        0.5
    """
    return float(special.stdtr(df, t))


def t_above(t: float, df: float) -> float:
    """Return the probability of a value above ``t`` with ``df`` degrees of freedom, df > 0."""
    return float(special.stdtr(df, -t))


def t_quantile(share: float, df: float) -> float:
    """Return the value that a share of the distribution lies below, share in (0, 1), df > 0.

    Example:
        >>> round(t_quantile(0.975, 4), 4)
        2.7764
    """
    return float(special.stdtrit(df, share))
