"""Spoken digits: what the protocols demo, run, networks and field share."""
