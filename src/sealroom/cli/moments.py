"""--at: a point in time on the command line."""

from __future__ import annotations

from datetime import datetime

import click


class MomentType(click.ParamType[datetime]):
    """A point in time with its offset from UTC, ISO 8601."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse `value`, or fail as click expects."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time like 2026-01-31T12:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} does not name its offset from UTC (end it with Z)", param, ctx)
        return moment
