"""Judging a network: accuracy, perplexity and exact replies, always beside the same baselines.

    task = load_task("tinychat-a", data=folder)
    report = evaluate(task, [Candidate("float", logits), graph_candidate("integer", graph)])
    print(report.text())

`evaluate` scores candidates on the task's validation examples. The baselines see the same examples
under the same protocol: for chat a table that ignores the query, nearest queries and a linear
model; for images a linear model and a decision tree.
"""

from models.evaluation.baselines import baselines
from models.evaluation.candidates import Candidate, Logits, graph_candidate
from models.evaluation.evaluate import evaluate
from models.evaluation.metrics import fit_scale, log_softmax, perplexity
from models.evaluation.report import Report, Sample, Scores
from models.evaluation.text_baselines import NearestQueries, ReplyTable

__all__ = [
    "Candidate",
    "Logits",
    "NearestQueries",
    "ReplyTable",
    "Report",
    "Sample",
    "Scores",
    "baselines",
    "evaluate",
    "fit_scale",
    "graph_candidate",
    "log_softmax",
    "perplexity",
]
