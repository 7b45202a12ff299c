"""The entry point of the program that is shipped into the staging container."""

from evenkeel.rehearsal.inside import main

raise SystemExit(main())
