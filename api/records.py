"""The record of the app that serves the current request, and the session that a view works in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, current_app

from fleet.db import Database

EXTENSION = "palebluedot"

View = TypeVar("View", bound=Callable[..., Any])


def record(app: Flask | None = None) -> Database:
    """The database of ``app``, or of the app in hand."""
    database: Database = (app or current_app).extensions[EXTENSION]
    return database


def reading(view: View) -> View:
    """Give the view a session that cannot write, as its first argument.

    Stands above ``blp.response``, so that the answer is dumped while the session is still open.
    """

    @wraps(view)
    def with_session(*args: Any, **kwargs: Any) -> Any:
        with record().reading() as session:
            return view(session, *args, **kwargs)

    return with_session  # type: ignore[return-value]


def writing(view: View) -> View:
    """Give the view the session of one transaction, as its first argument; an error undoes all of it.

    Stands above ``blp.response``: an answer that cannot be dumped is undone as well.
    """

    @wraps(view)
    def with_session(*args: Any, **kwargs: Any) -> Any:
        with record().transaction() as session:
            return view(session, *args, **kwargs)

    return with_session  # type: ignore[return-value]
