"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no failure: how long one example takes decides nothing here.
settings.register_profile("sealroom", deadline=None)
settings.load_profile("sealroom")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Number bytes instead of showing them: some are random, and every process must use the same names."""
    return argname if isinstance(val, bytes) else None
