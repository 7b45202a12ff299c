"""The judge: verdicts about shares and errors, from counts alone.

Pure functions and small classes of the standard library, without a clock and without input or
output, so that the rehearsal, the host and the controller mean the same by the same word.
Import the rooms directly: `verdict`, `share`, `compare`, `watch`.
"""
