"""The entry point of the program that is shipped into the staging container."""

from evenkeel.rehearsal.run.main import main

raise SystemExit(main())
