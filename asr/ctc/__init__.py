"""Connectionist temporal classification: networks that write units straight from speech, without graph or alignment."""
