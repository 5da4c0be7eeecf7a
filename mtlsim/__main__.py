"""`python -m mtlsim` is the command line."""

import sys

from mtlsim.cli import main

sys.exit(main())
