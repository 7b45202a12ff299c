"""What the tests of the host's own room have: a host in a temporary folder, on a quick disk."""

from unit.host.conftest import host, quick_disk, tmp_path

__all__ = ["host", "quick_disk", "tmp_path"]
