"""The one exception a person is meant to read."""

from __future__ import annotations


class InputError(Exception):
    """Something in the user's files or config is wrong, and the message says what to do about it.

    Printed as one line, `where: what; remedy`, without a traceback. Anything else that is raised is a bug of ours.
    """

    def __init__(self, what: str, *, where: object, remedy: str) -> None:
        """`where` is the file, with row or key where there is one (`tracks.tsv row 4`, `demo.yaml: training.steps`)."""
        self.what, self.where, self.remedy = what, str(where), remedy
        super().__init__(f"{where}: {what}; {remedy}")
