"""Plans rollouts with tables of users: how a flag distributes them, and who changes variant under other definitions.

`python -m mpflags.table flags.json users.parquet --flag new-checkout` prints a distribution. docs/tables.md has examples.

Needs pyarrow. Memory is bounded by the largest batch of the table. No exposures are reported.
"""

from .planning import Distribution, Move, Share, WhatIf, changed_rows, distribution, what_if

__all__ = ["Distribution", "Move", "Share", "WhatIf", "changed_rows", "distribution", "what_if"]

if __name__ == "__main__":
    from .table_command import main

    raise SystemExit(main())
