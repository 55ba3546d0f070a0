"""Run every measurement and print its table."""

import sys

from bench import container, evidence

sys.exit(container.main() or evidence.main())
