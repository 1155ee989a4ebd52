"`python -m camtutor` is the command, so that other launchers can start it: `accelerate launch -m camtutor evaluate …`."
import sys

from camtutor.cli import main

sys.exit(main())
