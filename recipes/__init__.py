"""Recipes: programs that train and test recognisers of a corpus, step by step."""
