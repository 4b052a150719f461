"""Where things are: folders of this test, of the build, and of the system's programs."""

import glob
import os

PROGRAMS_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REPOSITORY = os.path.dirname(os.path.dirname(PROGRAMS_FOLDER))
CASES_FOLDER = os.path.join(PROGRAMS_FOLDER, "cases")

DEFAULT_LIBRARY = os.path.join(REPOSITORY, "build", "release", "lib", "libtide.so")

# Only Debian's own programs: what lies in /usr/local or a version manager's folder may be
# another version, a static binary or a wrapper. Debian keeps postgres' programs apart and puts
# perl wrappers of the same names in /usr/bin, so its folder comes first.
_POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1:]
SEARCH_PATH = ":".join(_POSTGRES + ["/usr/sbin", "/usr/bin", "/sbin", "/bin"])


def log_folder_of(library):
    """build/<preset>/test-programs for build/<preset>/lib/libtide.so."""
    preset = os.path.dirname(os.path.dirname(os.path.abspath(library)))
    if os.path.dirname(preset) == os.path.join(REPOSITORY, "build"):
        return os.path.join(preset, "test-programs")
    return os.path.join(REPOSITORY, "build", "test-programs")
