# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that follow from their inputs alone, kept for other processes and later runs where a store is in use."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class ResultStore(Protocol):
    """Keeps results as JSON values by what they were computed from."""

    def get(self, kind: str, key: str, compute: Callable[[], Any], *, of_scene: bool) -> Any:
        """The result that is kept under a key, or else that of ``compute``, which is kept then.

        Parameters
        ----------
        kind : str
            What the results are, for the names of files.
        key : str
            Hash of everything that the result follows from, other than the program and, with ``of_scene``, the files
            of the open scene.
        compute : callable
            Gives a JSON value whose floats are kept exactly.
        of_scene : bool
            Whether the result also depends on the open scene and its assets.
        """
        ...


_stores: list[ResultStore | None] = [None]


@contextlib.contextmanager
def keeping_results(store: ResultStore | None) -> Iterator[None]:
    """Keep results in a store for a while; None keeps nothing."""
    _stores.append(store)
    try:
        yield
    finally:
        _stores.pop()


def kept_result(
    kind: str,
    inputs: Sequence[Any],
    compute: Callable[[], T],
    to_json: Callable[[T], Any],
    from_json: Callable[[Any], T],
    *,
    of_scene: bool = False,
) -> T:
    """``compute()``, or the equal result that the store in use has kept.

    Parameters
    ----------
    kind : str
    inputs : sequence
        What the result follows from: numbers, text, None, arrays, and sequences of them.
    compute : callable
    to_json, from_json : callable
        Turn a result into a JSON value, and back into an equal result; a damaged value may raise any exception.
    of_scene : bool
        As for :meth:`ResultStore.get`.
    """
    store = _stores[-1]
    if store is None:
        return compute()
    own: list[T] = []

    def computed() -> Any:
        own.append(compute())
        return to_json(own[0])

    value = store.get(kind, hash_of(inputs), computed, of_scene=of_scene)
    if own:
        return own[0]
    try:
        return from_json(value)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # not what this release has kept
        return compute()


def hash_of(inputs: Any) -> str:
    """A hash of numbers, text, None, arrays, and sequences of them, by type and value.

    Raises TypeError for anything else: its text could be the same for different values.
    """
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object:
            array = np.ascontiguousarray(value)
            digest.update(f"array {array.dtype.str} {array.shape}:".encode())
            digest.update(array.tobytes())
        elif value is None or isinstance(value, bool | int | float | str):
            text = repr(value)
            digest.update(f"{type(value).__name__} {len(text)}:{text}".encode("utf-8", "surrogatepass"))
        elif isinstance(value, Sequence):
            digest.update(f"sequence {len(value)}:".encode())
            for each in value:
                add(each)
        else:
            raise TypeError(f"no hash of {type(value).__name__}")

    add(inputs)
    return digest.hexdigest()
