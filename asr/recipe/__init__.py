"""What every recipe shares: steps that are not made twice (run), the bench, and how it ends (finish)."""
