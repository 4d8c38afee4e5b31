"""The checksum of TensorFlow's files (CRC-32C), over many lanes at once so that large files take seconds.

Beginning with all ones is the same as beginning with zero and turning over the first four bytes; zeros before
them then change nothing, so that any length fills the lanes.
"""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = 0x82F63B78
_MOST_LANES_LOG2 = 14
_ONES = 0xFFFFFFFF
_MASK = 0xA282EAD8


def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


_TABLE = _byte_table()


def crc32c(content: bytes | memoryview) -> int:
    """Return the CRC-32C of some bytes.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    values = np.frombuffer(content, dtype=np.uint8)
    if len(values) < 4:
        return _byte_by_byte(values) ^ _ONES
    lanes = 1 << max(0, min(_MOST_LANES_LOG2, int(np.log2(len(values))) // 2))
    length = -(-len(values) // lanes)
    padded = np.zeros(lanes * length, dtype=np.uint8)
    padded[-len(values) :] = values
    padded[len(padded) - len(values) :][:4] ^= 0xFF
    states = np.zeros(lanes, dtype=np.uint32)
    for column in np.ascontiguousarray(padded.reshape(lanes, length).T):
        states = _TABLE[(states ^ column) & 0xFF] ^ (states >> np.uint32(8))
    return _joined(states, length) ^ _ONES


def _byte_by_byte(values: np.ndarray) -> int:
    state = _ONES
    for value in values.tolist():
        state = int(_TABLE[(state ^ value) & 0xFF]) ^ (state >> 8)
    return state


def unmasked(stored: int) -> int:
    """Return the checksum that TensorFlow stores in a rotated and shifted form."""
    rotated = (stored - _MASK) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def masked(checksum: int) -> int:
    """Return a checksum in the form TensorFlow stores."""
    return (((checksum >> 15) | (checksum << 17)) + _MASK) & 0xFFFFFFFF


def _joined(states: np.ndarray, length: int) -> int:
    """Return the state after all lanes, each of which began at zero.

    The state is linear in what it began with: going on over ``length`` zero bytes maps each of its bits to a
    fixed pattern, and the lanes are joined pairwise, whose lengths double.
    """
    patterns = np.left_shift(np.uint32(1), np.arange(32, dtype=np.uint32))
    for _ in range(length):
        patterns = _TABLE[patterns & 0xFF] ^ (patterns >> np.uint32(8))
    while len(states) > 1:
        states = _mapped(patterns, states[0::2]) ^ states[1::2]
        patterns = _mapped(patterns, patterns)
    return int(states[0])


def _mapped(patterns: np.ndarray, states: np.ndarray) -> np.ndarray:
    result = np.zeros_like(states)
    for bit in range(32):
        result ^= np.where((states >> np.uint32(bit)) & 1, patterns[bit], np.uint32(0)).astype(np.uint32)
    return result
