"""`python -m asr` is the `asr` command."""

from .cli import main

main()
