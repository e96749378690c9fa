"""The one way in which moto is mended."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from typing import Any, TypeVar

Before = Callable[..., Any]
Put = TypeVar("Put", bound=Callable[..., Any])


def replaces(owner: type, name: str) -> Callable[[Put], Put]:
    """Puts the decorated function in the place of a method or property of a class of moto's.

    After `self` it is given what stood there before.
    """
    before = getattr(owner, name)

    def put(function: Put) -> Put:
        if isinstance(before, property):
            setattr(owner, name, property(lambda self: function(self, before.fget)))
        else:
            setattr(owner, name, partialmethod(function, before))
        return function

    return put
