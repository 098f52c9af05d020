"""Every SQL call of pgmedia: one method per database function. Nobody else calls SQL."""

from __future__ import annotations

from poller.db.catalog import Server, read_server, what_it_needs
from poller.db.figures import Figures
from poller.db.jobs import Jobs, LeaseLostError
from poller.db.lifecycle import Lifecycle
from poller.db.listener import Listener, has_own_session
from poller.db.operations import Operations
from poller.db.pool import DATABASE_AWAY, DatabaseError, WrongProjectError
from poller.db.reconcile import Reconcile
from poller.db.store import Store, UnreadableError

__all__ = [
    "DATABASE_AWAY",
    "Database",
    "DatabaseError",
    "LeaseLostError",
    "Listener",
    "Server",
    "UnreadableError",
    "WrongProjectError",
    "has_own_session",
    "read_server",
    "what_it_needs",
]


class Database(Jobs, Store, Reconcile, Operations, Lifecycle, Figures):
    """The database functions, in the rights of whoever logs in."""
