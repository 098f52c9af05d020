"""Stand-ins for everything pgmedia talks to, for the demo and the tests."""
