"""pgmedia's poller beside what else one would write, on the same servers: `make bench-pipeline`."""
