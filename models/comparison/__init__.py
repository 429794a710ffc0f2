"""All recipes of a task beside each other: trained under several seeds, judged, put in a table.

    plan = [Run("chat-a-ternary", 0), Run("chat-a-ternary", 1)]
    figures = run_all(plan, folder, jobs=2)
    document([section("chat-a", figures)])

Checkpoints stay in a folder: what is trained already is not trained again. Importing this package
does not import torch.
"""

from models.comparison.document import document, section
from models.comparison.figures import Figures
from models.comparison.runs import Run, plan, run_all

__all__ = ["Figures", "Run", "document", "plan", "run_all", "section"]
