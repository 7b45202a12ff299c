"""The corpus: many changes, wrong and harmless ones, and what each station says to every one.

`cases` reads a case, `edits` applies it, `road` takes it through render and the rehearsal in a
container that `containers` keeps, `inside` is what runs there beside the rehearsal's own program,
and `tables` sums up.
"""
