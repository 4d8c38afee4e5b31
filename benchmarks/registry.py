"""All bars by name; a new one is a file of its own and one entry here."""

from __future__ import annotations

from benchmarks.contest import Bar
from medtransfer.core.registry import Registry

bars: Registry[Bar] = Registry("bar", "python -m benchmarks --list")

bars.add(
    "R1",
    Bar(
        "pipeline efficiency",
        "the same network on tensors already in memory ÷ our loop from the decoded cache",
        "benchmarks.r1_pipeline_efficiency:contests",
    ),
)
bars.add(
    "R2",
    Bar(
        "gain over the usual loop",
        "ImageFolder of 1024² PNG, torchvision transforms and DataLoader ÷ our loop, same network",
        "benchmarks.r2_usual_loop:contests",
    ),
)
bars.add(
    "R3",
    Bar(
        "probe grid",
        "scikit-learn's LogisticRegression one by one ÷ ours, 10 strengths × 5 seeds × 5 fractions",
        "benchmarks.r3_probe_grid:contests",
    ),
)
bars.add(
    "R4",
    Bar(
        "transferability",
        "LogME with one SVD per class ÷ ours, 5 classes",
        "benchmarks.r4_transferability:contests",
    ),
)
bars.add(
    "R5",
    Bar("start", "'medtransfer --help' ÷ 'python -c pass'", "benchmarks.r5_start:contests"),
)
bars.add(
    "R6",
    Bar(
        "whole study",
        "a plain script with DataLoader and scikit-learn ÷ our study, files to report, caches made meanwhile",
        "benchmarks.r6_whole_study:contests",
    ),
)
bars.add(
    "R7",
    Bar(
        "GPU, when there is one",
        "steps on tensors that lie on the device ÷ our loop; matrix product ÷ our loop, per operation",
        "benchmarks.r7_gpu:contests",
    ),
)
bars.add(
    "R8",
    Bar(
        "growth",
        "cost per trial with 100,000 records in the store ÷ with 100",
        "benchmarks.r8_growth:contests",
    ),
)
bars.add(
    "readers",
    Bar(
        "reading files",
        "the plain library call ÷ our reader, to the same grey levels",
        "benchmarks.readers:contests",
    ),
)
bars.add(
    "bootstrap",
    Bar(
        "bootstrap over patients",
        "scikit-learn's weighted AUC, one draw after the other ÷ ours, per draw and model",
        "benchmarks.bootstrap_of_patients:contests",
    ),
)
bars.add(
    "precision",
    Bar(
        "mixed precision on the CPU",
        "our training loop in fp32 ÷ in bf16-mixed, same network",
        "benchmarks.mixed_precision:contests",
    ),
)
