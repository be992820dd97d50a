"""What a finding is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import HilError


@dataclass(frozen=True)
class Finding:
    """Something that can be wrong with a rig.

    Attributes:
        id: stable, for scripts: the `code` of the error.
        check: the check of `hil doctor` that finds it, or the command that does.
        error: class of the error; its exit code is the finding's.
        title: what it is, in a few words, for lists.
        what: what was seen, in one line with the facts in braces.
        remedy: what to do, in the order of what helps most often; facts likewise.
        example: facts for the sample in the documentation.
    """

    id: str
    check: str
    error: type[HilError]
    title: str
    what: str
    remedy: str
    example: Mapping[str, object]

    def with_facts(self, **facts: object) -> HilError:
        """The error that it is.

        Args:
            facts: what its texts name in braces.

        Raises:
            KeyError: one is missing.
        """
        return self.error(self.what.format(**facts), code=self.id, remedy=self.remedy.format(**facts))
