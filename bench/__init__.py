"""How fast pgmedia is, part by part, beside a peer or a bound in the same run: `make bench`."""
