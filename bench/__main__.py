"""Run every measurement and print its table."""

import sys

from bench import container

sys.exit(container.main())
