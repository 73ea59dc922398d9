"""One evaluation as a folder: per-case rows, what made them, figures with intervals, and the reports people read."""
