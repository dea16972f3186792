"""`python -m tlab_core.cli` is `tlab`, also where the command is not on the PATH."""

from tlab_core.cli.main import main

main()
