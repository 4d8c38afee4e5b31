"""Benchmark transfer learning for medical images: which pretrained model, transferred how, how sure."""

__version__ = "0.1.0"
