"""gavel fine-tunes a language model to be a judge: the program's commands as functions for notebooks.

All computing is the program's. A function's keyword arguments are the options of its command
(`gavel train --help`), with underscores: train(model=..., data=..., batch_size=8, resume=True).
"""

from ._commands import Evaluation, Record, Run, evaluate, judge, read_records, train
from ._program import Error, program, run
from ._server import Server, serve

__all__ = [
    "Error",
    "Evaluation",
    "Record",
    "Run",
    "Server",
    "evaluate",
    "judge",
    "program",
    "read_records",
    "run",
    "serve",
    "train",
]
