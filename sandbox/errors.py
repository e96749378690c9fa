"""What can go wrong in the sandbox: the text says what, and what a person can do about it."""

from __future__ import annotations


class SandboxError(Exception):
    """Something that the sandbox needs is missing or cannot be used."""


class WorkerFailedError(Exception):
    """A worker ended with another status than 0; the text says which, and its last line."""
