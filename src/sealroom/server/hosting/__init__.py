"""An operator's services: each in a folder of its own, watched by its files and processes alone.

    spawning.py    from a package to measured arguments and a launch folder
    launching.py   the launch folder of a service, and its supervisor
    folder.py      where services lie, their names, and what each one is doing
    evidence.py    what one proves about itself, as one file
    health.py      asking one how it is, as any caller could

Nothing here opens anything that is sealed. Spec: docs/spec/services.md, "Operator's folder".
"""
