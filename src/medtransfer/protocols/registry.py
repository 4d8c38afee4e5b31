"""All transfer protocols by the name a study file gives them."""

from __future__ import annotations

from medtransfer.core.registry import Registry
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.transfer_protocol import TransferProtocol

protocols: Registry[type[TransferProtocol]] = Registry("protocol", "medtransfer run --help")
"""Protocol classes; calling one with the settings of a study file gives the protocol."""

protocols.add(Finetune.name, Finetune)
