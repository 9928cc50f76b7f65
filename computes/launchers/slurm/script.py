"""The batch script of a job: it hands over to the runner."""

import shlex

from computes.hosts import Place

# With these, a script says what is missing on its node: there is no other way where
# that does not see the job's folder. The runner's end with 0, 1 or 143.
NO_FOLDER, NO_PYTHON = 81, 82


def batch_script(place: Place) -> str:
    """What sbatch is given; nothing in it but constants and quoted paths."""
    folder, runner, python = (
        shlex.quote(path) for path in (place.folder, place.runner, place.python)
    )
    return f"""#!/bin/sh
# A job of AML Portal.
cd {folder} 2>/dev/null && [ -d {runner} ] || exit {NO_FOLDER}
exec >>runner.log 2>&1
[ -x {python} ] || exit {NO_PYTHON}
exec {python} -I -S {runner} batch {folder}
"""
