"""Reference models in PyTorch, their data, compression, and export to the integer graph.

    models.names()                          every model's name
    models.load("digits-int8")              a Model: integer graph, inputs, labels, reference
    models.load("tinychat", data=folder)    one that needs files from outside the project
    models.train("digits", seed=0)          a checkpoint from nothing

Importing this package, listing names and loading an integer graph do not import torch.
"""

from models.errors import DataNeeded, InputRefused, ModelError, ModelFileError, UnknownModel
from models.model import Evaluation, Model, Reference, accuracy, predict
from models.registry import DataFolder, Entry, catalog, load, names, train
from models.training import Progress, TrainingReport, TrainingStep

__all__ = [
    "DataFolder",
    "DataNeeded",
    "Entry",
    "Evaluation",
    "InputRefused",
    "Model",
    "ModelError",
    "ModelFileError",
    "Progress",
    "Reference",
    "TrainingReport",
    "TrainingStep",
    "UnknownModel",
    "accuracy",
    "catalog",
    "load",
    "names",
    "predict",
    "train",
]
