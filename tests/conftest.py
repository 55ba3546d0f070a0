"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no failure: how long one example takes decides nothing here.
settings.register_profile("sealroom", deadline=None)
settings.load_profile("sealroom")
