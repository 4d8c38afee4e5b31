"""Benchmark transfer learning for medical images: which pretrained model, transferred how, how sure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from medtransfer.reports.write_report import write_report
    from medtransfer.store.store import Store
    from medtransfer.study.interface import Study, load_model, load_task, run

__version__ = "0.1.0"
__all__ = ["Store", "Study", "load_model", "load_task", "run", "write_report"]

_MODULES = {"Store": "medtransfer.store.store", "write_report": "medtransfer.reports.write_report"}
_INTERFACE = "medtransfer.study.interface"


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that the command line starts at once."""
    if name not in __all__:
        raise AttributeError(f"module 'medtransfer' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_MODULES.get(name, _INTERFACE)), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
