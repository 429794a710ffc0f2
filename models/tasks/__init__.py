"""Tasks by name: data, split under a stated protocol, ready for training and scoring.

    tasks.names()                               every task's name
    tasks.load_task("chat-a")                   a Task: train, validation, augmented
    tasks.load_task("tinychat-a", data=folder)  one that needs files from outside the project

Nothing here imports torch.
"""

from models.tasks.registry import TaskEntry, catalog, load_task, names

__all__ = ["TaskEntry", "catalog", "load_task", "names"]
