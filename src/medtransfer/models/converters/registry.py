"""The converters known by name; one record each, their code imported only in the isolated process."""

from __future__ import annotations

from dataclasses import dataclass

from medtransfer.core.registry import Registry


@dataclass(frozen=True)
class Converter:
    """How one kind of foreign file becomes named tensors."""

    name: str
    """Name in a source model's record."""
    reads: str
    """What kind of file, for people."""
    function: str
    """``module:function`` that takes the open files and the request; imported late, in isolation."""
    admits: tuple[str, ...] = ()
    """Patterns of class names whose pickled state is kept as plain data; the classes are never imported."""
    files: str = "one"
    """``one`` file, or a TensorFlow ``bundle``: an index and the data files beside it."""


converters: Registry[Converter] = Registry("converter", "medtransfer models show")

_PACKAGE = "medtransfer.models.converters."
_SETTINGS = (
    "argparse.Namespace",
    "types.SimpleNamespace",
    "pathlib.*Path",
    "yacs.config.CfgNode",
    "easydict.EasyDict",
    "omegaconf.*",
    "typing.Any",
    "datetime.*",
)
"""Settings that training scripts keep beside the weights; they are left out."""

for _converter in (
    Converter(
        name="byol",
        reads="a pickled BYOL experiment of Haiku parameters",
        function=_PACKAGE + "byol:convert",
        admits=("byol.*", "haiku.*", "jax.*", "jaxlib.*", "optax.*"),
    ),
    Converter(
        name="simclr-tf",
        reads="a TensorFlow checkpoint of SimCLR: an .index file and the .data files beside it",
        function=_PACKAGE + "simclr_tf:convert",
        files="bundle",
    ),
    Converter(
        name="pickled-module",
        reads="a whole network saved with torch.save, or tensors beside settings of other types",
        function=_PACKAGE + "pickled_module:convert",
        admits=(
            *("torch.nn.modules.*", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"),
            *("torch.nn.backends.*", "torchxrayvision.*"),
            *("torchvision.models.*", "torchvision.ops.*", "timm.models.*", "timm.layers.*"),
            *("__main__.*", "model.*", "models.*", "pytorch_lightning.*", "lightning.*"),
            *_SETTINGS,
        ),
    ),
):
    converters.add(_converter.name, _converter)
