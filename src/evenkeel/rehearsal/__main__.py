"""The entry point of the program in the staging container."""

from evenkeel.rehearsal.run.main import main

raise SystemExit(main())
