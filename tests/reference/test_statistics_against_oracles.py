"""Our statistics against scikit-posthocs, autorank and MLstatkit on random inputs, ties and tiny n included."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs as posthocs
from autorank import autorank
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from MLstatkit import Delong_test
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from medtransfer.stats.corrections import benjamini_yekutieli, bonferroni
from medtransfer.stats.delong import compare_aucs
from medtransfer.stats.exact_tests import rank_sum, signed_rank
from medtransfer.stats.pairwise import pairwise_by_runs
from medtransfer.stats.power import minimum_detectable_paired_difference
from medtransfer.stats.ranks import FEWEST_TASKS, critical_difference, friedman, rank_models, rank_quantile
from medtransfer.stats.run_scores import interquartile_mean

SEEDS = st.integers(0, 10**6)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(4, 40), st.integers(2, 12))
def test_delong_is_that_of_mlstatkit(seed: int, cases: int, levels: int) -> None:
    """Its z has the sign of B - A, and it turns to a bootstrap where the variance is 0."""
    draw = np.random.default_rng(seed)
    labels = np.concatenate([[0, 0, 1, 1], draw.integers(0, 2, cases - 4)])
    first, second = draw.integers(0, levels, (2, cases)) / levels
    found = compare_aucs(labels, first, second)
    assume(found.z is not None)
    z, p, _, _, auc_a, auc_b, facts = Delong_test(labels, first, second, n_boot=10, random_state=0)
    assume(facts["method"] == "delong")
    assert found.difference == pytest.approx(auc_a - auc_b, abs=1e-12)
    assert (found.z, found.p) == (
        pytest.approx(-z, rel=1e-8, abs=1e-9),
        pytest.approx(p, rel=1e-7, abs=1e-12),
    )


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.integers(3, 6), st.integers(FEWEST_TASKS, 12), st.integers(2, 30))
def test_nemenyi_is_that_of_scikit_posthocs(seed: int, models: int, tasks: int, levels: int) -> None:
    """Two models differ at level p exactly when their mean ranks lie a critical difference of level p apart."""
    values = np.random.default_rng(seed).integers(0, levels, (tasks, models)) / levels
    p_values = posthocs.posthoc_nemenyi_friedman(values).to_numpy()
    means = rank_models(values).mean(axis=0)
    for i in range(models):
        for j in range(i):
            p, gap = float(p_values[i, j]), abs(means[i] - means[j])
            if 1e-3 < p < 0.999:
                assert critical_difference(models, tasks, alpha=p) == pytest.approx(gap, rel=1e-5)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(3, 6), st.integers(FEWEST_TASKS, 15))
def test_the_critical_difference_is_that_of_autorank(seed: int, models: int, tasks: int) -> None:
    values = np.random.default_rng(seed).random((tasks, models))
    names = [f"m{number}" for number in range(models)]
    frame = pd.DataFrame(values, columns=names)
    result = autorank(frame, alpha=0.05, verbose=False, force_mode="nonparametric", order="descending")
    assert result.cd == pytest.approx(
        critical_difference(models, tasks), rel=1e-3
    )  # it keeps a rounded table
    ours = dict(zip(names, rank_models(values).mean(axis=0), strict=True))
    assert {name: result.rankdf.loc[name, "meanrank"] for name in names} == pytest.approx(ours)
    assert result.pvalue == pytest.approx(friedman(rank_models(values)).p, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(3, 7), st.integers(2, 20), st.integers(2, 20))
def test_friedman_and_iman_davenport(seed: int, models: int, tasks: int, levels: int) -> None:
    values = np.random.default_rng(seed).integers(0, levels, (tasks, models)) / levels
    assume(not (values == values[:, :1]).all())
    found, expected = friedman(rank_models(values)), stats.friedmanchisquare(*values.T)
    assert (found.chi_square, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    if found.f is not None and found.f_p is not None:  # Conover's F is the same number from sums of squares
        ranks = rank_models(values)
        total = (ranks**2).sum() - tasks * models * (models + 1) ** 2 / 4
        between = tasks * ((ranks.mean(axis=0) - (models + 1) / 2) ** 2).sum()
        f = (tasks - 1) * between / (total - between)
        assert (found.f, found.f_p) == pytest.approx(
            (f, stats.f.sf(f, models - 1, (models - 1) * (tasks - 1))), rel=1e-6, abs=1e-12
        )


@pytest.mark.parametrize("models", range(2, 11))
def test_bonferroni_dunn_is_a_corrected_normal_quantile(models: int) -> None:
    corrected = multipletests([2 * stats.norm.sf(rank_quantile(models, against_one=True))] * (models - 1))
    assert float(corrected[3]) == pytest.approx(0.05 / (models - 1))
    assert 2 * stats.norm.sf(rank_quantile(models, against_one=True)) == pytest.approx(corrected[3])


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_other_corrections_are_those_of_statsmodels(p: list[float]) -> None:
    for correct, name in ((bonferroni, "bonferroni"), (benjamini_yekutieli, "fdr_by")):
        adjusted = correct(p).values  # noqa: PD011
        assert adjusted == pytest.approx(multipletests(p, method=name)[1], abs=1e-12)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(2, 5), st.integers(2, 6))
def test_all_pairs_of_welch_are_those_of_scikit_posthocs(seed: int, models: int, n: int) -> None:
    runs = np.random.default_rng(seed).normal(0.8, 0.02, (models, n))
    names = [f"m{number}" for number in range(models)]
    found = pairwise_by_runs(dict(zip(names, runs.tolist(), strict=True)))
    expected = posthocs.posthoc_ttest(runs.tolist(), equal_var=False).to_numpy()
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if a != b:
                assert found.comparisons[a, b].p == pytest.approx(expected[i, j], rel=1e-8, abs=1e-14)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(6, 12), st.integers(2, 4))
def test_wilcoxon_over_tasks_is_that_of_scikit_posthocs(seed: int, tasks: int, models: int) -> None:
    values = np.random.default_rng(seed).permutation(tasks * models).reshape(tasks, models) ** 1.5
    frame = pd.DataFrame(values, columns=range(models))
    differences = {(i, j): values[:, i] - values[:, j] for i in range(models) for j in range(i)}
    assume(all(len(set(np.abs(np.round(d, 9)))) == tasks for d in differences.values()))
    expected = posthocs.posthoc_wilcoxon(
        frame.melt(var_name="model"), val_col="value", group_col="model", method="exact"
    ).to_numpy()
    for pair, difference in differences.items():
        assert signed_rank(difference, 9).p == pytest.approx(expected[pair], abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(201, 400), min_size=1, max_size=6, unique=True),
    st.randoms(),
)
def test_mann_whitney_without_ties_is_scipys(a: list[int], b: list[int], order) -> None:
    pooled = order.sample([*a, *b], len(a) + len(b))
    first, second = pooled[: len(a)], pooled[len(a) :]
    expected = stats.mannwhitneyu(first, second, method="exact")
    found = rank_sum(first, second)
    assert (found.statistic, found.p) == (expected.statistic, pytest.approx(expected.pvalue))


@pytest.mark.parametrize("n", [3, 5, 10, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_paired_detectable_differences_are_those_of_statsmodels(n: int, alpha: float) -> None:
    effect = minimum_detectable_paired_difference(1.0, n, alpha=alpha)
    assert TTestPower().power(effect, n, alpha) == pytest.approx(0.8, abs=1e-9)


@settings(deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_the_interquartile_mean_drops_a_quarter_at_each_end(seed: int, runs: int, tasks: int) -> None:
    values = np.random.default_rng(seed).random((runs, tasks))
    ordered, cut = np.sort(values.ravel()), runs * tasks // 4
    assert interquartile_mean(values) == pytest.approx(ordered[cut : runs * tasks - cut].mean())
