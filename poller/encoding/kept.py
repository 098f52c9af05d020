"""Why a file stays as it is."""


class KeptError(Exception):
    """A file cannot be encoded without harm: it stays as it is."""
