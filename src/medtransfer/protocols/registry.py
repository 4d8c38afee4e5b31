"""All transfer protocols by the name a study file gives them; a new protocol is one more line here."""

from __future__ import annotations

from medtransfer.core.registry import Registry
from medtransfer.protocols.finetune import Finetune
from medtransfer.protocols.knn import Knn
from medtransfer.protocols.linear import Linear
from medtransfer.protocols.transfer_protocol import TransferProtocol

protocols: Registry[type[TransferProtocol]] = Registry("protocol", "medtransfer run --help")
"""Protocol classes; calling one with the settings of a study file gives the protocol."""

protocols.add(Finetune.name, Finetune)
protocols.add(Linear.name, Linear)
protocols.add(Knn.name, Knn)
