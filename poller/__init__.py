"""pgmedia: keeps the media of WhatsApp messages. The database decides, this package moves bytes."""

from importlib.metadata import version

__version__ = version("pgmedia")
