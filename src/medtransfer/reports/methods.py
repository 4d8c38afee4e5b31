"""What a report says about how its numbers are made."""

from __future__ import annotations

METHODS: tuple[tuple[str, str], ...] = (
    (
        "Runs and intervals",
        (
            "A cell whose training depends on a seed shows the mean over its runs, the sample standard "
            "deviation (ddof 1) and the 95 % t interval of the mean. There is no bootstrap over runs: "
            "with three runs its nominal 95 % interval covers the mean in three of four cases only."
        ),
    ),
    (
        "Deterministic cells",
        (
            "Where no seed can change a number, the trial is computed once. Its interval is over test "
            "patients: whole patients are drawn with replacement, with the same draws for every model of "
            "a task."
        ),
    ),
    (
        "Comparisons",
        (
            "The best mean of a row is compared with every other model: a two-sided Welch test over runs, "
            "or the paired bootstrap over patients for deterministic cells; Holm correction over these "
            "tests. The family is the row."
        ),
    ),
    (
        "All pairs",
        (
            "Every pair of models of a row: Welch over runs, or the paired bootstrap over patients; Holm "
            "correction over all pairs of the row. Two models are called equivalent only when two one-sided "
            "tests show a difference below the task's margin."
        ),
    ),
    (
        "Runs and patients",
        (
            "An interval over runs says nothing of other patients, one over patients nothing of other runs. "
            "Where several runs have predictions, both are also drawn again together, 2,000 draws."
        ),
    ),
    (
        "Ranks",
        (
            "Ranks and scores over tasks use only tasks on which every model has a result. The brackets of "
            "a rank are what the pairwise tests leave open."
        ),
    ),
    (
        "Not separable",
        (
            "A difference that was not found is not a proof that there is none. The smallest detectable "
            "difference says what the comparison would have found with a chance of 80 %."
        ),
    ),
    (
        "Selection",
        (
            "Checkpoints, strengths and numbers of neighbours are chosen on validation. Test cases choose "
            "nothing. A label fraction is a share of the training cases; validation and test stay whole."
        ),
    ),
    (
        "Failed runs",
        (
            "A failed run and an undefined metric enter no mean; they make n smaller and are counted in "
            "the cell. A cell that was not run is never shown as a number."
        ),
    ),
    (
        "Overlap",
        (
            "A model that was pretrained on the images of a task cannot show transfer to it: the cell is "
            "a dash. Models marked † or ‡ take part in the comparison; read them with their mark."
        ),
    ),
)
"""Terms and explanations, in the order of a first reading."""
