"""What a command says in a line, without a traceback."""


class OperatorError(Exception):
    """It could not be done. The message is for whoever runs the command."""
