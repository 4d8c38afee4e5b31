"""What a worker process does before its first job."""

from __future__ import annotations


def use_one_thread() -> None:
    """Give torch and OpenCV one thread each, so that one process per core is the right number."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
