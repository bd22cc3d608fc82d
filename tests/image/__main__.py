"""Make the base image, build ours and its tests on it, and run it: `make image-test`."""

import subprocess
import sys

from launch.models import CPU_DEFAULT, Model, is_prepared
from tests.image.base import make_base
from tests.image.build import build
from tests.image.tools import Unfit, check_machine, say
from tests.local import ROOT

# A network with nothing but loopback. crun refuses a machine that has both generations of control groups
# mounted; it uses none of them here, so it is shown none.
INSIDE = 'ip link set lo up && mount -t tmpfs none /sys/fs/cgroup && exec "$@"'
ALONE = ("unshare", "--net", "--mount", "sh", "-ec", INSIDE, "sh")


def main() -> int:
    """Returns an exit code; arguments go to pytest, instead of the folder of tests."""
    chosen = sys.argv[1:] or [str(ROOT / "tests" / "image")]
    try:
        check_machine()
        if not is_prepared(Model(CPU_DEFAULT, is_cpu_default=True)):
            raise Unfit(
                "the model to bake in is missing: CUDA_VISIBLE_DEVICES=-1 python3 -m launch --prepare"
            )
        base = make_base()
        build(base, target="tests")
        build(base)
    except Unfit as error:
        sys.stderr.write(f"image-test: {error}\n")
        return 1
    say("running it, without a network")
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "400")
    return subprocess.run([*ALONE, *pytest, *chosen], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
