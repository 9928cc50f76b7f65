"""Runs the runner as a module, whose compiled form Python keeps.

A script is compiled anew at each start; that would be a third of the time of a verb.
"""

import sys

# The folder that Python was given is the first in its path.
if sys.argv[1:2] == ["serve"]:
    from server import main as serve  # type: ignore[import-not-found]

    sys.exit(serve(sys.argv[2]))
if sys.argv[1:2] == ["follow"]:
    from following import main as follow  # type: ignore[import-not-found]

    sys.exit(follow(sys.argv[2]))
if sys.argv[1:2] == ["prepare"]:
    from building import main as prepare  # type: ignore[import-not-found]

    sys.exit(prepare(sys.argv[2]))
if sys.argv[1:2] in (["environments"], ["remove_environment"]):
    from environment import main as keep  # type: ignore[import-not-found]

    sys.exit(keep(*sys.argv[1:]))
if sys.argv[1:2] == ["resolve"]:
    from resolving import main as resolve  # type: ignore[import-not-found]

    sys.exit(resolve(sys.argv[2]))
if sys.argv[1:2] == ["bridge"]:
    from bridge import main as join  # type: ignore[import-not-found]

    sys.exit(join())
if sys.argv[1:2] == ["dock"]:
    from docked import main as dock  # type: ignore[import-not-found]

    sys.exit(dock(sys.argv[2]))
if sys.argv[1:2] in (["submit"], ["batch"]):
    from batch import main as batch  # type: ignore[import-not-found]

    sys.exit(batch(*sys.argv[1:3]))
if sys.argv[1:2] == ["rank"]:
    from rank import main as rank  # type: ignore[import-not-found]

    sys.exit(rank(sys.argv[2:]))
from runner import main  # type: ignore[import-not-found]

sys.exit(main())
