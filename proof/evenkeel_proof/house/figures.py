"""The table of the house: each figure, its target, and what there is to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evenkeel_proof.house import functions, imports, tolerance, words
from evenkeel_proof.house.code import product, sources, with_roles


@dataclass(frozen=True)
class Figure:
    """One figure: `most` is its target, `below` that it must stay below it; `seen` explains it."""

    key: str
    title: str
    value: float
    most: float
    seen: list[str]
    below: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the figure is within its target."""
        return self.value < self.most if self.below else self.value <= self.most


def measure(root: Path) -> list[Figure]:
    """Measure the checkout at `root`."""
    return [figure for each in FIGURES for figure in each(root)]


def lines(root: Path) -> list[Figure]:
    """Count the lines of the product's package, src/evenkeel."""
    counts = {file.path: len(file.lines) for file in product(root)}
    seen = [f"{count} {path}" for path, count in Counter(counts).most_common()]
    return [Figure("product_lines", "lines in src/evenkeel", sum(counts.values()), 29_500, seen)]


def fullest_folder(root: Path) -> list[Figure]:
    """Count the Python files of each folder of src, proof and roles; take the fullest."""
    files = sources(root, "src/**/*.py", "proof/**/*.py", "roles/**/*.py")
    counts = Counter(file.folder for file in files)
    seen = [f"{count} {folder}" for folder, count in counts.most_common()]
    most = max(counts.values(), default=0)
    return [Figure("files_most_in_a_folder", "most Python files in one folder", most, 20, seen)]


def imported(root: Path) -> list[Figure]:
    """Follow the imports that run when a module of src/evenkeel is imported."""
    graph = imports.graph(product(root))
    chain = imports.longest_chain(graph)
    widest, reached = imports.widest(graph)
    return [
        Figure("import_depth", "longest chain of imports", len(chain), 12, chain),
        Figure(
            "import_reach",
            "most modules reached from one",
            len(reached),
            90,
            [f"from {widest}:", *sorted(reached)],
        ),
    ]


def single_use(root: Path) -> list[Figure]:
    """Give the share of functions that are private and named once in their module, in percent."""
    files = with_roles(root)
    seen = [one for file in files for one in functions.single_use(file)]
    count = sum(1 for file in files for _ in file.functions())
    percent = round(100.0 * len(seen) / max(count, 1), 1)
    title = "private functions used once, %"
    return [Figure("single_use_private_percent", title, percent, 15, seen, below=True)]


def untyped(root: Path) -> list[Figure]:
    """Give the share of functions whose signature has a dict of unknown shape, in percent."""
    return [
        _untyped(root, room, most)
        for room, most in (("rehearsal", 15.0), ("verbs", 25.0))
    ]  # fmt: skip


def _untyped(root: Path, room: str, most: float) -> Figure:
    here = f"src/evenkeel/{room}/"
    known = functions.aliases(product(root))
    seen, count = [], 0
    for file in (one for one in product(root) if one.path.startswith(here)):
        for function in file.functions():
            count += 1
            wanted = functions.written_types(function)
            if any(functions.is_untyped(one, known[file.module]) for one in wanted):
                seen.append(f"{file.path}:{function.lineno} {function.name}")
    key = f"untyped_signatures_percent.{room}"
    title = f"signatures with an untyped dict, {room}, %"
    percent = round(100.0 * len(seen) / max(count, 1), 1)
    return Figure(key, title, percent, most, seen, below=True)


def names(root: Path) -> list[Figure]:
    """Count the file names of src/evenkeel and the roles that more than one file has."""
    twice = words.names_used_twice(with_roles(root))
    seen = [f"{name}: {' '.join(paths)}" for name, paths in twice.items()]
    return [Figure("file_names_used_twice", "file names used twice", len(twice), 12, seen)]


def comments(root: Path) -> list[Figure]:
    """Give the mean number of words of a comment in src/evenkeel and the roles."""
    found = [
        (len(text.split()), f"{file.path}:{line} {text}")
        for file in with_roles(root)
        for line, text in words.comments(file)
    ]
    mean = round(sum(count for count, _ in found) / max(len(found), 1), 1)
    seen = [f"{count} {text}" for count, text in sorted(found, reverse=True) if count > 9]
    return [Figure("words_per_comment", "words in a comment", mean, 9, seen)]


def tolerance_default(root: Path) -> list[Figure]:
    """Count the files to touch when the default tolerance of the band changes."""
    seen = tolerance.files_naming_it(root)
    key = "files_naming_the_tolerance_default"
    return [Figure(key, "files that name the default tolerance", len(seen), 4, seen)]


FIGURES: list[Callable[[Path], list[Figure]]] = [
    lines, fullest_folder, imported, single_use, untyped, names, comments, tolerance_default,
]  # fmt: skip
