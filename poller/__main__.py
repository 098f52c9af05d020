"""`python -m poller` is `pgmedia`."""

from poller.cli import main

main()
