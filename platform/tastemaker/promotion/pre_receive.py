"""Git's pre-receive hook of a promotion repository: refuses what `verification` refuses.

python -m tastemaker.promotion.pre_receive --branch main     ("old new ref" lines on its input)
"""

import argparse
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from tastemaker.core.errors import PromotionError, TastemakerError
from tastemaker.promotion.git import NOBODY, Git
from tastemaker.promotion.verification import MAX_AGE, Rules, check_range


def check(git: Git, lines: Iterable[str], branch: str, max_age: timedelta = MAX_AGE) -> int:
    """Check what is pushed to the branch that says what is live; other branches are free.

    Args:
        git: The repository that receives.
        lines: `old new ref`, one a reference.
        branch: Which one counts.
        max_age: Of evidence.

    Returns:
        Number of commits that were checked.

    Raises:
        TastemakerError: The push is refused.
    """
    checked = 0
    for line in lines:
        old, new, ref = line.split()
        if ref != f"refs/heads/{branch}":
            continue
        if new == NOBODY:
            raise PromotionError(f"branch {branch} says what is live and cannot be removed")
        old = "" if old == NOBODY else old
        checked += check_range(git, old, new, Rules.at(git, old, max_age))
    return checked


def main() -> None:
    """Read the hook's input; exit code 1 refuses the push."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branch", default="main")
    parser.add_argument("--max-age-days", type=float, default=MAX_AGE / timedelta(days=1))
    given = parser.parse_args()
    try:
        check(Git(Path.cwd()), sys.stdin, given.branch, timedelta(days=given.max_age_days))
    except TastemakerError as error:
        sys.stderr.write(f"refused: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
