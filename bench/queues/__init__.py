"""pgmedia's queue beside PgQueuer's and Procrastinate's: `make bench-queue`."""
