"""Mboshi: what the protocols run and edges share."""
