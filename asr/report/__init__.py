"""One self-contained HTML page a run: `write_report(path, title=..., sections=[...], facts=run_facts(seed=0))`.

A page is a list of `Section`s. Those below make the usual ones from plain data; a recipe may add its own, with HTML of
its own making or the plots of asr.report.plots. The names in __init__.pyi are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
