"""`python -m darkroom_cli`, the same as `darkroom`."""

from darkroom_cli.app import main

main()
