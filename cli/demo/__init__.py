"""``palebluedot demo``: the whole way once, on this machine, with nothing real at risk."""

from cli.demo.command import demo

__all__ = ["demo"]
