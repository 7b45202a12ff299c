"""Sizes and names of files: lines of the product, files in a folder, names that are used twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import PurePosixPath

from evenkeel_proof.house.tree import PRODUCT, PROOF, ROLES, Figure, Tree

# Names that Python gives.
GIVEN = ("__init__.py", "__main__.py")


def product_lines(tree: Tree) -> Figure:
    """Count every line, blank ones and comments too, of the Python files in src/evenkeel."""
    lines = {one.path: one.text.count("\n") for one in tree.python(PRODUCT)}
    folders: Counter[str] = Counter()
    for path, count in lines.items():
        folders["/".join(path.split("/")[:3])] += count
    return Figure(sum(lines.values()), [f"{count} {path}" for path, count in folders.most_common()])


def files_most_in_a_folder(tree: Tree) -> Figure:
    """Count the Python files directly in each folder of src, proof and roles; give the most."""
    folders = defaultdict(list)
    for one in tree.python("src", "proof", ROLES):
        path = PurePosixPath(one.path)
        folders[str(path.parent)].append(path.name)
    rows = sorted(folders.items(), key=lambda row: -len(row[1]))
    causes = [f"{len(names)} {folder}: {' '.join(names)}" for folder, names in rows]
    return Figure(max(map(len, folders.values()), default=0), causes)


def file_names_used_twice(tree: Tree) -> Figure:
    """Count the names that two or more Python files of the product, its roles or its proof have."""
    places = defaultdict(list)
    for one in tree.shipped() + tree.python(PROOF):
        path = PurePosixPath(one.path)
        if path.name not in GIVEN:
            places[path.name].append(one.path)
    twice = sorted(
        ((name, paths) for name, paths in places.items() if len(paths) > 1),
        key=lambda row: (-len(row[1]), row[0]),
    )
    return Figure(len(twice), [f"{name}: {' '.join(paths)}" for name, paths in twice])
