"""What the commands of a service's code provider share."""

from __future__ import annotations

from sealroom.cli.options import Invocation
from sealroom.client.locking import fetch_from_index
from sealroom.client.service.project import Project
from sealroom.client.wheel_store import WheelStore
from sealroom.core.measurement.requirements import parse_requirements


def ready_wheels(invocation: Invocation, project: Project) -> WheelStore:
    """Return this home's wheels, after fetching those that the project names and that are not there."""
    store = WheelStore(invocation.open_home())
    with invocation.console.transfers(unit="files") as progress:
        fetch_from_index(parse_requirements(project.requirements() or b""), store, progress=progress)
    return store
