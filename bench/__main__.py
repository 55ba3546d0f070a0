"""Run every measurement and print its table."""

import sys

from bench import container, evidence, measurement

sys.exit(container.main() or evidence.main() or measurement.main())
