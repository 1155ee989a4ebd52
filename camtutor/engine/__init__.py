"""Running a network and reading it: `inputs` says what was given, `trace` what becomes of it, `forward` runs it once
and goes back from a score (`targets`) to layers, whose outputs `layout` lays out as maps; `layers` chooses
them. `sequence` runs layers in a row one by one."""
