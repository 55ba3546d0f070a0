"""Run every measurement and print its table."""

import sys

from bench import container, evidence, measurement, services

sys.exit(container.main() or evidence.main() or measurement.main() or services.main())
