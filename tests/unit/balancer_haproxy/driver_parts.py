"""The files of the driver as they lie in the role, importing one another as they do on a host."""

import sys
from importlib import import_module
from types import ModuleType

from unit.balancer_haproxy.files import ROLE

PACKAGE = "haproxy_driver"

package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
package.__path__ = [str(ROLE / "files")]
driver = import_module(f"{PACKAGE}.driver")


def config(name):
    """Give the file `config/<name>.py`, the same one that the driver imports."""
    return import_module(f"{PACKAGE}.config.{name}")


def part(name):
    """Give the file `driver/<name>.py`, the same one that the driver imports."""
    return import_module(f"{PACKAGE}.driver.{name}")
